"""Promises of preprocessing: to the bit what torchvision does on PIL images, and the way back to the original."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms as v1
from torchvision.transforms import InterpolationMode, v2

from app.domain import (
    Affine,
    Anchor,
    Crop,
    CropBox,
    Geometry,
    Interpolation,
    Resize,
    ResizeShorter,
    Size,
    Step,
)
from app.errors import ImageTooLarge
from app.images.decode import Picture, decode
from app.images.preprocess import output_size, preprocess

CARCASS = (Resize(Size(373, 373), "nearest"), Crop(Size(224, 224), "bottom_right"))
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)
sides = st.integers(1, 90)
interpolations = st.sampled_from(INTERPOLATIONS)


def noise(width: int, height: int, seed: int = 0) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Picture(image=Image.fromarray(pixels), format="PNG")


def torchvision_steps(step: Step) -> tuple[object, object]:
    """The same step as transforms v1 and v2."""
    match step:
        case Resize():
            size, mode = [step.size.height, step.size.width], InterpolationMode(step.interpolation)
            return v1.Resize(size, mode), v2.Resize(size, mode)
        case ResizeShorter():
            mode = InterpolationMode(step.interpolation)
            return v1.Resize(step.shorter, mode), v2.Resize(step.shorter, mode)
        case Crop(anchor="center"):
            size = [step.size.height, step.size.width]
            return v1.CenterCrop(size), v2.CenterCrop(size)
    raise AssertionError(step)


sizes = st.builds(Size, sides, sides)
torchvision_like = st.one_of(
    st.builds(Resize, sizes, interpolations),
    st.builds(ResizeShorter, sides, interpolations),
    st.builds(Crop, sizes, st.just("center")),
)
any_step = st.one_of(
    torchvision_like,
    st.builds(Crop, sizes, st.sampled_from(get_args(Anchor))),
    st.tuples(st.floats(0, 0.49), st.floats(0, 0.49), st.floats(0.5, 1), st.floats(0.5, 1)).map(
        lambda box: CropBox(*box)
    ),
)


@given(width=sides, height=sides, steps=st.lists(torchvision_like, max_size=3), seed=st.integers(0, 99))
@settings(max_examples=250, deadline=None)
def test_pixels_are_torchvisions_to_the_bit(width: int, height: int, steps: list[Step], seed: int) -> None:
    """Resize, Resize(int), CenterCrop of any size, smaller or larger, in any order; v1 and v2."""
    picture = noise(width, height, seed)
    expected = [picture.image, picture.image]
    for step in steps:
        expected = [do(image) for do, image in zip(torchvision_steps(step), expected, strict=True)]  # type: ignore[operator]

    pixels = preprocess(picture, tuple(steps)).pixels

    assert np.array_equal(pixels, np.asarray(expected[0]))
    assert np.array_equal(pixels, np.asarray(expected[1]))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_camera_sized_picture_is_torchvisions_too(interpolation: Interpolation) -> None:
    picture = noise(768, 574)
    reference = v1.Compose([v1.Resize(256, InterpolationMode(interpolation)), v1.CenterCrop(224)])

    result = preprocess(picture, (ResizeShorter(256, interpolation), Crop(Size(224, 224), "center")))

    assert np.array_equal(result.pixels, np.asarray(reference(picture.image)))


def test_the_carcass_models_steps() -> None:
    """Keras resized by nearest neighbour to 373 x 373 and took [149:, 149:]."""
    picture = noise(768, 574)

    result = preprocess(picture, CARCASS)

    small = np.asarray(picture.image.resize((373, 373), Image.Resampling.NEAREST))
    assert np.array_equal(result.pixels, small[149:, 149:])
    assert result.to_original == Affine(
        scale_x=pytest.approx(768 / 373),
        offset_x=pytest.approx(149 * 768 / 373),
        scale_y=pytest.approx(574 / 373),
        offset_y=pytest.approx(149 * 574 / 373),
    )


@pytest.mark.parametrize(
    ("anchor", "left", "top"),
    [
        ("top_left", 0, 0), ("top", 15, 0), ("top_right", 30, 0),
        ("left", 0, 10), ("center", 15, 10), ("right", 30, 10),
        ("bottom_left", 0, 20), ("bottom", 15, 20), ("bottom_right", 30, 20),
    ],
)  # fmt: skip
def test_every_anchor_holds_its_place(anchor: Anchor, left: int, top: int) -> None:
    picture = noise(50, 40)

    result = preprocess(picture, (Crop(Size(20, 20), anchor),))

    assert np.array_equal(result.pixels, np.asarray(picture.image)[top : top + 20, left : left + 20])
    assert result.to_original == Affine(offset_x=left, offset_y=top)


def test_a_crop_larger_than_the_picture_pads_with_black_on_the_far_side() -> None:
    picture = noise(3, 2)

    result = preprocess(picture, (Crop(Size(5, 5), "bottom_right"),))

    assert np.array_equal(result.pixels[3:, 2:], np.asarray(picture.image))
    assert result.pixels[:3].max() == result.pixels[:, :2].max() == 0
    assert result.to_original == Affine(offset_x=-2.0, offset_y=-3.0)


def test_a_crop_box_is_in_fractions_of_the_picture() -> None:
    picture = noise(100, 60)

    result = preprocess(picture, (CropBox(0.1, 0.25, 0.7, 1.0),))

    assert np.array_equal(result.pixels, np.asarray(picture.image)[15:60, 10:70])


@given(width=st.integers(1, 9), height=st.integers(1, 9), box=any_step)
@settings(max_examples=50, deadline=None)
def test_no_step_makes_an_empty_image(width: int, height: int, box: Step) -> None:
    assert min(preprocess(noise(width, height), (box,)).pixels.shape) >= 1


def test_the_result_is_what_an_engine_takes() -> None:
    """Contiguous, writable, 8 bits, and not a view into the picture."""
    picture = noise(30, 20)

    pixels = preprocess(picture, ()).pixels
    pixels[:] = 7

    assert (pixels.dtype, pixels.flags.c_contiguous) == (np.uint8, True)
    assert np.asarray(picture.image).max() > 7


@given(steps=st.lists(any_step, max_size=4), width=sides, height=sides)
@settings(max_examples=150, deadline=None)
def test_a_promised_output_size_is_kept(steps: list[Step], width: int, height: int) -> None:
    promised = output_size(tuple(steps))

    height_out, width_out, _ = preprocess(noise(width, height), tuple(steps)).pixels.shape

    assert promised in (None, Size(height_out, width_out))


@pytest.mark.parametrize(
    ("steps", "size"),
    [
        ((), None),
        ((ResizeShorter(256, "bilinear"),), None),
        ((CropBox(0, 0, 0.5, 0.5),), None),
        ((ResizeShorter(256, "bilinear"), Crop(Size(224, 200), "center")), Size(224, 200)),
        ((Resize(Size(100, 200), "box"), ResizeShorter(50, "box")), Size(50, 100)),
        ((Resize(Size(100, 200), "box"), CropBox(0, 0.5, 0.25, 1)), Size(50, 50)),
        (CARCASS, Size(224, 224)),
    ],
)
def test_output_size_is_known_or_depends_on_the_picture(steps: tuple[Step, ...], size: Size | None) -> None:
    assert output_size(steps) == size


@given(
    dot=st.tuples(st.floats(0.1, 0.9), st.floats(0.1, 0.9)),
    steps=st.lists(
        st.one_of(
            st.builds(Resize, st.builds(Size, st.integers(150, 400), st.integers(150, 400)), interpolations),
            st.builds(ResizeShorter, st.integers(150, 400), interpolations),
            st.builds(
                Crop,
                st.builds(Size, st.integers(150, 250), st.integers(150, 250)),
                st.sampled_from(get_args(Anchor)),
            ),
            st.just(CropBox(0.05, 0.1, 0.9, 0.95)),
        ),
        max_size=3,
    ),
)
@settings(max_examples=50, deadline=None)
def test_a_bright_dot_is_found_again_in_the_original(dot: tuple[float, float], steps: list[Step]) -> None:
    """Its centre of mass in the input, mapped back, is within a pixel (of the input or the picture)."""
    x, y = round(dot[0] * 400), round(dot[1] * 300)
    canvas = np.zeros((300, 400, 3), np.uint8)
    canvas[y - 4 : y + 5, x - 4 : x + 5] = 255  # centre at x + 0.5, y + 0.5

    picture = Picture(image=Image.fromarray(canvas), format="PNG")
    for count in range(len(steps) + 1):
        # After every step: what one crop cuts, the next may pad with black, so that the last edge is no proof.
        result = preprocess(picture, tuple(steps[:count]))
        light = result.pixels[..., 0].astype(float)
        edge = light[[0, -1]].sum() + light[:, [0, -1]].sum()
        if light.sum() == 0 or edge > 0:
            return  # cropped away, or cut
    back = result.to_original
    rows, columns = np.indices(light.shape) + 0.5
    found_x = back.scale_x * (columns * light).sum() / light.sum() + back.offset_x
    found_y = back.scale_y * (rows * light).sum() / light.sum() + back.offset_y
    assert abs(found_x - x - 0.5) <= max(1.0, back.scale_x)
    assert abs(found_y - y - 0.5) <= max(1.0, back.scale_y)


@pytest.mark.parametrize(
    ("width", "height", "step"),
    [
        (10_000, 1, ResizeShorter(256, "bilinear")),  # 2,560,000 x 256
        (1, 10_000, ResizeShorter(256, "nearest")),
        (1, 1_000_000, Resize(Size(224, 224), "bicubic")),  # Pillow's first pass alone: 224 x 1,000,000
        (5_000_000, 1, Resize(Size(2, 2), "lanczos")),  # its table of weights: five million columns
    ],
)
def test_an_elongated_picture_is_refused_instead_of_filling_the_memory(
    width: int, height: int, step: Step
) -> None:
    picture = Picture(image=Image.new("RGB", (width, height)), format="PNG")

    with pytest.raises(ImageTooLarge, match=f"this {width} x {height} picture"):
        preprocess(picture, (step,))


def test_a_large_photograph_is_not_elongated() -> None:
    picture = Picture(image=Image.new("RGB", (6000, 4000)), format="JPEG")

    result = preprocess(picture, (ResizeShorter(256, "bilinear"), Crop(Size(224, 224), "center")))

    assert result.pixels.shape == (224, 224, 3)


def test_real_photographs_become_what_training_saw(carcass_photographs: list[Path]) -> None:
    for path in carcass_photographs:
        picture = decode(path.read_bytes(), geometry=Geometry(steps=CARCASS), max_pixels=1_000_000)

        with Image.open(path) as image:
            expected = np.asarray(image.convert("RGB").resize((373, 373), Image.Resampling.NEAREST))[
                149:, 149:
            ]
        assert np.array_equal(preprocess(picture, CARCASS).pixels, expected)
