"""Promises of decoding smaller: when, by how much, and that every place stays where it was."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.domain import Crop, CropBox, Geometry, Resize, ResizeShorter, Size, Step
from app.errors import ImageTooLarge, SelfTestFailed
from app.images.decode import Picture, decode
from app.images.preprocess import Preprocessed, preprocess
from app.images.scaling import reduction, refuse_unproved
from app.images.whole import whole_steps

IMAGENET: tuple[Step, ...] = (ResizeShorter(256, "bilinear"), Crop(Size(224, 224), "center"))
SMALL: tuple[Step, ...] = (Resize(Size(18, 24), "bilinear"),)


def slope(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards: a pixel's colour says where it comes from."""
    y, x = np.mgrid[:height, :width]
    channels = ((x + 0.5) * 255 / width, (y + 0.5) * 255 / height, np.full((height, width), 90.0))
    return Image.fromarray(np.rint(np.stack(channels, axis=2)).astype(np.uint8))


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8))


def file(image: Image.Image, kind: str = "JPEG", *, orientation: int = 1, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    if kind == "JPEG":
        options = {"quality": 98, "subsampling": "4:4:4"} | options
    buffer = BytesIO()
    image.save(buffer, kind, exif=exif, **options)
    return buffer.getvalue()


def seen(
    data: bytes,
    steps: tuple[Step, ...],
    how: str,
    *,
    orientation: str = "ignore",
    keeps_picture: bool = False,
) -> tuple[Picture, Preprocessed]:
    geometry = Geometry(
        steps,
        orientation="apply" if orientation == "apply" else "ignore",
        decode="scaled" if how == "scaled" else "exact",
    )
    picture = decode(data, geometry=geometry, max_pixels=10**8, keeps_picture=keeps_picture)
    return picture, preprocess(picture, steps)


def levels(a: Preprocessed, b: Preprocessed) -> float:
    """Mean difference of two inputs."""
    return float(np.abs(a.pixels.astype(int) - b.pixels.astype(int)).mean())


# --- by how much -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "height", "factor"),
    [
        (768, 574, 1),
        (1365, 1023, 1),
        (1366, 1024, 2),
        (2048, 2047, 2),
        (4000, 3000, 4),
        (3000, 4000, 4),
        (8000, 4096, 8),
        (20000, 1000, 1),
        (50000, 40000, 8),
    ],
)
def test_twice_what_the_first_resize_needs_is_left(width: int, height: int, factor: int) -> None:
    assert reduction(IMAGENET, Size(height, width)) == factor


@given(
    width=st.integers(1, 5000),
    height=st.integers(1, 5000),
    target=st.builds(Size, *[st.integers(1, 400)] * 2),
)
def test_the_rule_holds_along_each_side_and_no_more_is_left_than_it_asks(
    width: int, height: int, target: Size
) -> None:
    factor = reduction((Resize(target, "bicubic"),), Size(height, width))

    def is_allowed(divisor: int) -> bool:
        return height >= 2 * divisor * target.height and width >= 2 * divisor * target.width

    assert factor == max([1, *[divisor for divisor in (2, 4, 8) if is_allowed(divisor)]])


@pytest.mark.parametrize(
    ("steps", "factor"),
    [
        ((CropBox(0.25, 0.25, 0.75, 0.75), Resize(Size(125, 125), "bilinear")), 2),
        ((CropBox(0.0, 0.0, 0.5, 1.0), CropBox(0.0, 0.0, 0.5, 1.0), Resize(Size(62, 62), "nearest")), 2),
        ((Crop(Size(900, 900), "center"), Resize(Size(9, 9), "bilinear")), 1),
        ((CropBox(0.0, 0.0, 0.5, 0.5), Crop(Size(9, 9), "center")), 1),
        ((), 1),
    ],
)
def test_windows_in_fractions_count_and_a_crop_in_pixels_forbids_it(
    steps: tuple[Step, ...], factor: int
) -> None:
    assert reduction(steps, Size(1000, 1000)) == factor


# --- what is touched ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "WEBP"])
def test_other_formats_are_decoded_in_full(kind: str) -> None:
    picture, _ = seen(file(noise(400, 300), kind), SMALL, "scaled")

    assert picture.reduced is None
    assert picture.image.size == (400, 300)


def test_a_small_jpeg_gives_the_same_bits_either_way() -> None:
    data = file(noise(90, 70))

    (picture, scaled), (_, exact) = seen(data, SMALL, "scaled"), seen(data, SMALL, "exact")

    assert picture.reduced is None
    assert scaled.pixels.tobytes() == exact.pixels.tobytes()


@pytest.mark.parametrize(("mode", "warnings"), [("RGB", 0), ("L", 0), ("CMYK", 1)])
def test_any_jpeg_is_decoded_smaller_with_the_same_warnings(mode: str, warnings: int) -> None:
    data = file(slope(400, 300).convert(mode), **({} if mode == "RGB" else {"subsampling": -1}))

    (small, scaled), (whole, exact) = seen(data, SMALL, "scaled"), seen(data, SMALL, "exact")

    assert small.reduced is not None
    assert (small.image.mode, small.image.size, small.reduced.factor) == ("RGB", (50, 38), 8)
    assert (small.width, small.height, small.format) == (400, 300, "JPEG")
    assert small.warnings == whole.warnings
    assert len(small.warnings) == warnings
    assert small.nbytes < whole.nbytes / 50
    assert levels(scaled, exact) < 1


def test_the_limit_is_on_the_files_own_pixels() -> None:
    geometry = Geometry(SMALL, decode="scaled")

    with pytest.raises(ImageTooLarge, match="400 x 300"):
        decode(file(noise(400, 300)), geometry=geometry, max_pixels=100_000)


def test_a_kept_picture_is_whole_and_the_network_sees_the_same_pixels() -> None:
    data = file(noise(401, 303))

    alone, predicted = seen(data, SMALL, "scaled")
    kept, explained = seen(data, SMALL, "scaled", keeps_picture=True)
    whole, exact = seen(data, SMALL, "exact")

    assert kept.image.tobytes() == whole.image.tobytes()
    assert alone.image.size == (51, 38)
    assert explained.pixels.tobytes() == predicted.pixels.tobytes() != exact.pixels.tobytes()
    assert kept.nbytes == 4 * (401 * 303 + 51 * 38)


# --- places ------------------------------------------------------------------------------------

steps_of_any_kind = st.sampled_from(
    [
        SMALL,
        (ResizeShorter(20, "bilinear"), Crop(Size(16, 18), "bottom_right")),
        (ResizeShorter(17, "bicubic"), Crop(Size(15, 15), "center")),
        (CropBox(0.13, 0.21, 0.87, 0.93), Resize(Size(20, 20), "bilinear")),
        (CropBox(0.1, 0.0, 0.9, 1.0), CropBox(0.0, 0.3, 1.0, 1.0), Resize(Size(14, 20), "lanczos")),
        (Resize(Size(24, 24), "box"), Crop(Size(30, 30), "center")),
    ]
)


@given(
    width=st.integers(170, 420),
    height=st.integers(170, 420),
    steps=steps_of_any_kind,
    orientation=st.integers(1, 8),
    wanted=st.sampled_from(["ignore", "apply"]),
)
@settings(max_examples=120, deadline=None)
def test_every_place_stays_where_it_was(
    width: int, height: int, steps: tuple[Step, ...], orientation: int, wanted: str
) -> None:
    """A slope of 255 levels over the picture: an eighth of a network's pixel off would be seen."""
    data = file(slope(width, height), orientation=orientation)

    small, scaled = seen(data, steps, "scaled", orientation=wanted)
    whole, exact = seen(data, steps, "exact", orientation=wanted)

    assert scaled.to_original == exact.to_original
    assert (small.width, small.height, small.warnings) == (whole.width, whole.height, whole.warnings)
    assert scaled.pixels.shape == exact.pixels.shape
    assert levels(scaled, exact) < 0.75


def test_sizes_of_a_camera_are_decoded_smaller_also_where_they_are_turned() -> None:
    picture, _ = seen(file(slope(640, 480), orientation=6), SMALL, "scaled", orientation="apply")

    assert picture.reduced is not None
    assert (picture.width, picture.height, picture.image.size) == (480, 640, (60, 80))


def test_the_whole_view_is_made_of_the_same_decoding() -> None:
    data = file(slope(640, 480))
    steps = (ResizeShorter(40, "bilinear"), Crop(Size(32, 32), "center"))
    picture, _ = seen(data, steps, "scaled", keeps_picture=True)
    without = replace(picture, image=Image.new("RGB", (640, 480)))

    view = preprocess(without, whole_steps(steps, Size(480, 640)))

    assert view.pixels.shape == (40, 53, 3)
    assert np.abs(view.pixels - np.asarray(slope(640, 480).resize((53, 40), 2)).astype(int)).mean() < 1


# --- proof -------------------------------------------------------------------------------------


@pytest.mark.parametrize("were_reduced", [[], [False], [False, False]])
def test_scaled_without_a_golden_image_that_was_scaled_is_refused(were_reduced: list[bool]) -> None:
    with pytest.raises(SelfTestFailed, match=r'add one of the line.* or write decode = "exact"'):
        refuse_unproved(Geometry(SMALL, decode="scaled"), were_reduced)

    refuse_unproved(Geometry(SMALL), were_reduced)
    refuse_unproved(Geometry(SMALL, decode="scaled"), [*were_reduced, True])
