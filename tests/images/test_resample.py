"""Promises of resizing only what the next crop keeps: the same bits, less work."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.domain import Interpolation, Size
from app.images.geometry import Scaling, Window
from app.images.resample import RESAMPLING, cut, resized


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def wholly(image: Image.Image, plan: Scaling, window: Window) -> Image.Image:
    """What torchvision does: all of it, then the window."""
    return cut(image.resize((plan.size.width, plan.size.height), RESAMPLING[plan.interpolation]), window)


@pytest.mark.parametrize("interpolation", get_args(Interpolation))
@pytest.mark.parametrize(
    ("picture", "size", "window"),
    [
        ((768, 574), (342, 256), (59, 16, 224, 224)),  # the carcass line's camera, ImageNet's evaluation
        ((640, 480), (341, 256), (58, 16, 224, 224)),
        ((1920, 1080), (455, 256), (115, 16, 224, 224)),
        ((1024, 768), (512, 384), (3, 5, 100, 300)),
        ((30, 42), (13, 18), (6, 8, 1, 1)),  # where Pillow would take rows and columns in another order
        ((100, 80), (300, 240), (31, 17, 200, 100)),
        ((64, 64), (32, 32), (-3, 4, 40, 10)),
    ],
)
def test_the_window_is_the_one_of_the_whole_to_the_bit(
    interpolation: Interpolation,
    picture: tuple[int, int],
    size: tuple[int, int],
    window: tuple[int, int, int, int],
) -> None:
    plan = Scaling(Size(size[1], size[0]), interpolation)
    kept = Window(window[0], window[1], Size(window[3], window[2]))

    for seed in range(3):
        image = noise(*picture, seed)
        assert resized(image, plan, kept).tobytes() == wholly(image, plan, kept).tobytes()


sides = st.one_of(st.integers(1, 90), st.integers(1, 12).map(lambda number: 8 * number))


@given(
    picture=st.tuples(sides, sides),
    size=st.builds(Size, sides, sides),
    interpolation=st.sampled_from(get_args(Interpolation)),
    corner=st.tuples(st.floats(-0.1, 0.99), st.floats(-0.1, 0.99)),
    kept=st.builds(Size, sides, sides),
    seed=st.integers(0, 99),
)
@settings(max_examples=400, deadline=None)
def test_any_window_of_any_size_is_the_one_of_the_whole(
    picture: tuple[int, int],
    size: Size,
    interpolation: Interpolation,
    corner: tuple[float, float],
    kept: Size,
    seed: int,
) -> None:
    image, plan = noise(*picture, seed), Scaling(size, interpolation)
    window = Window(int(corner[0] * size.width), int(corner[1] * size.height), kept)

    assert resized(image, plan, window).tobytes() == wholly(image, plan, window).tobytes()
