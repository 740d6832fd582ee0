"""Covered regions: what is gone, what stays, and what the probabilities then say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.explain.cover import CoverCheck, cover
from app.explain.fill import coarse, feathered, surroundings

SIDE = 96


def noise(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def box(top: int, left: int, height: int, width: int) -> NDArray[np.bool_]:
    mask = np.zeros((SIDE, SIDE), dtype=np.bool_)
    mask[top : top + height, left : left + width] = True
    return mask


def test_nothing_of_what_is_covered_is_left_not_even_its_colour() -> None:
    """A red spot on green: a blur would leave it reddish."""
    image = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    image[..., 1] = 200
    region = box(30, 30, 24, 24)
    image[region] = (255, 0, 0)

    pictures = cover(image, region)

    inside = box(34, 34, 16, 16)
    assert pictures.without_region[inside].tolist() == np.full((256, 3), (0, 200, 0)).tolist()
    assert pictures.only_region[inside].tolist() == np.full((256, 3), (255, 0, 0)).tolist()
    far = ~box(22, 22, 40, 40)
    assert (pictures.without_region[far] == image[far]).all()


def test_covering_draws_no_edge() -> None:
    """On a smooth picture the cover can hardly be told from what it hides."""
    ramp = np.linspace(20, 235, SIDE)
    image = np.broadcast_to(ramp[:, None, None], (SIDE, SIDE, 3)).astype(np.uint8)

    covered = cover(image, box(30, 20, 30, 50)).without_region.astype(np.int64)

    assert np.abs(np.diff(covered, axis=0)).max() <= 3 * np.abs(np.diff(image.astype(np.int64), axis=0)).max()
    assert np.abs(np.diff(covered, axis=1)).max() <= 3
    assert np.abs(covered - image).max() < 25


def test_what_is_kept_stands_alone() -> None:
    """Outside the region no form is left, only colours."""
    checkers = (np.indices((SIDE, SIDE)).sum(axis=0) // 4 % 2 * 255).astype(np.uint8)
    image = np.repeat(checkers[..., None], 3, axis=2)

    only = cover(image, box(40, 40, 20, 20)).only_region

    assert np.ptp(only[:30]) < 30
    assert (only[46:54, 46:54] == image[46:54, 46:54]).all()


@settings(deadline=None, max_examples=40)
@given(
    top=st.integers(0, SIDE - 1),
    left=st.integers(0, SIDE - 1),
    height=st.integers(1, SIDE),
    width=st.integers(1, SIDE),
    seed=st.integers(0, 5),
)
def test_random_region_is_equally_large_and_elsewhere_where_there_is_room(
    top: int, left: int, height: int, width: int, seed: int
) -> None:
    region = box(top, left, height, width)
    image = noise(seed)

    pictures = cover(image, region)

    assert pictures.area_fraction == pytest.approx(region.mean())
    assert 0.0 <= pictures.random_overlap <= 1.0
    if region.mean() < 0.2:
        assert pictures.random_overlap <= 0.25
    for picture in (pictures.without_region, pictures.only_region, pictures.without_random):
        assert picture.shape == image.shape
        assert picture.dtype == np.uint8


def test_the_same_image_has_the_same_control_and_another_image_another() -> None:
    region = box(10, 10, 20, 20)

    first, again, other = cover(noise(1), region), cover(noise(1), region), cover(noise(2), region)

    assert (first.without_random == again.without_random).all()
    changed = [(c.without_random != noise(n)).any(axis=2) for c, n in ((first, 1), (other, 2))]
    assert (changed[0] != changed[1]).any()


def test_a_region_that_is_everything_has_no_control() -> None:
    everything = box(0, 0, SIDE, SIDE)

    pictures = cover(noise(), everything)

    assert pictures.random_overlap == 1.0
    assert (pictures.only_region == noise()).all()
    assert pictures.check(0.9, 0.3, 0.9, 0.3).verdict == "lowers"


def test_a_region_without_a_pixel_is_refused() -> None:
    with pytest.raises(ValueError, match="without a pixel"):
        cover(noise(), box(0, 0, 0, 0))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 3), (29, 40), (33, 224)])
def test_images_of_any_size_are_filled(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 77, dtype=np.uint8)
    hidden = np.zeros(shape, dtype=np.bool_)
    hidden[0, 0] = shape != (1, 1)

    assert surroundings(image, hidden) == pytest.approx(np.full((*shape, 3), 77.0), abs=1e-3)
    assert coarse(image) == pytest.approx(np.full((*shape, 3), 77.0), abs=1e-3)
    assert feathered(hidden).shape == shape


def test_what_lies_beside_a_gap_fills_it() -> None:
    """White on the left, black on the right, a hole far inside the white: it is filled with white."""
    image = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    image[:, : SIDE * 3 // 4] = 255

    filled = surroundings(image, box(20, 10, 40, 40))

    assert filled[20:60, 10:45].min() > 235


@pytest.mark.parametrize(
    ("probabilities", "overlap", "verdict"),
    [
        ((0.98, 0.41, 0.97, 0.97), 0.0, "lowers"),
        ((0.98, 0.41, 0.97, 0.60), 0.0, "lowers"),
        ((0.98, 0.41, 0.97, 0.45), 0.0, "no_better_than_random"),
        ((0.98, 0.41, 0.97, 0.30), 0.0, "no_better_than_random"),
        ((0.98, 0.41, 0.97, 0.30), 0.3, "lowers"),  # the control is half the region itself: it shows nothing
        ((0.98, 0.95, 0.97, 0.10), 0.0, "hardly_changes"),
        ((0.98, 0.99, 0.97, 0.98), 0.0, "hardly_changes"),
        ((0.40, 0.70, 0.97, 0.40), 0.0, "raises"),
        ((0.09, 0.01, 0.97, 0.09), 0.0, "nothing_to_lose"),
        ((0.09, 0.20, 0.97, 0.09), 0.0, "raises"),
    ],
)
def test_the_verdict_is_what_the_probabilities_show(
    probabilities: tuple[float, float, float, float], overlap: float, verdict: str
) -> None:
    whole, without, only, control = probabilities

    assert CoverCheck(whole, without, only, control, 0.1, overlap).verdict == verdict
