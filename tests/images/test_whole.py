"""The manifest's steps without its crops: the same scale, all of the picture."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.domain import Crop, CropBox, Resize, ResizeShorter, Size, Step
from app.images.decode import Picture
from app.images.preprocess import preprocess
from app.images.whole import whole_size, whole_steps

CARCASS: tuple[Step, ...] = (Resize(Size(373, 373), "nearest"), Crop(Size(224, 224), "bottom_right"))
IMAGENET: tuple[Step, ...] = (ResizeShorter(256, "bilinear"), Crop(Size(224, 224), "center"))
WINDOW_FIRST: tuple[Step, ...] = (CropBox(0.25, 0.0, 0.75, 1.0), Resize(Size(100, 100), "bilinear"))
PICTURE = Size(574, 768)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (CARCASS, Size(373, 373)),
        (IMAGENET, Size(256, 342)),
        (WINDOW_FIRST, Size(100, 200)),
        ((Crop(Size(100, 100), "center"),), PICTURE),
        ((Resize(Size(48, 64), "bilinear"),), Size(48, 64)),
        ((), PICTURE),
    ],
    ids=str,
)
def test_nothing_is_cut_and_nothing_is_scaled_otherwise(steps: tuple[Step, ...], expected: Size) -> None:
    """A resize that followed a crop resizes the whole by the same factors."""
    assert whole_size(steps, PICTURE) == expected
    assert all(isinstance(step, Resize) for step in whole_steps(steps, PICTURE))


@given(
    steps=st.sampled_from([CARCASS, IMAGENET, WINDOW_FIRST]),
    height=st.integers(60, 300),
    width=st.integers(60, 300),
)
def test_scale_is_the_models_and_the_view_is_the_whole_picture(
    steps: tuple[Step, ...], height: int, width: int
) -> None:
    """To the rounding of a whole size to pixels."""
    picture = Picture(Image.new("RGB", (width, height)), "PNG", ())

    cut = preprocess(picture, steps).to_original
    prepared = preprocess(picture, whole_steps(steps, Size(height, width)))

    whole, (rows, columns, _) = prepared.to_original, prepared.pixels.shape
    assert whole.scale_x == pytest.approx(cut.scale_x, rel=0.02)
    assert whole.scale_y == pytest.approx(cut.scale_y, rel=0.02)
    assert (whole.offset_x, whole.offset_y) == (0, 0)
    assert (columns * whole.scale_x, rows * whole.scale_y) == pytest.approx((width, height))
