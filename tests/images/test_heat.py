"""Promises of scales: bounded, never NaN, comparable, and no colours out of nothing."""

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from app.domain import Affine
from app.images.heat import Normalization, Scale, clipped_scale_of, scale_of, upsampled, upsampled_shades

NORMALIZATIONS: tuple[Normalization, ...] = get_args(Normalization)
ANYTHING = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 4), st.integers(1, 5)), elements=st.floats(width=32)
)


def scale_for(heat: NDArray[np.float32], normalization: Normalization) -> Scale:
    return scale_of([heat], normalization, full_scale=2.0 if normalization == "none" else None)


@given(heat=ANYTHING, normalization=st.sampled_from(NORMALIZATIONS))
@settings(max_examples=300, deadline=None)
def test_levels_are_bounded_whatever_the_numbers(
    heat: NDArray[np.float32], normalization: Normalization
) -> None:
    """NaN, infinities, subnormals and the largest floats included."""
    scale = scale_for(heat, normalization)

    levels = scale.levels(heat)

    assert levels.dtype == np.float32
    assert levels.shape == heat.shape
    assert np.isfinite(levels).all()
    assert levels.min() >= (-1.0 if normalization == "signed" else 0.0)
    assert levels.max() <= 1.0
    assert (levels[~np.isfinite(heat)] == 0).all()
    assert math.isfinite(scale.low)
    assert math.isfinite(scale.high)


@given(
    value=st.floats(-(2.0**99), 2.0**99, width=32),
    noise=arrays.arrays(np.float32, (3, 4), elements=st.floats(-1, 1, width=32)),
)
@settings(max_examples=200, deadline=None)
def test_a_flat_map_is_not_given_colours_by_its_rounding(value: float, noise: NDArray[np.float32]) -> None:
    """Between the least and the most of a flat map lies nothing but float32's last bit."""
    flat = (np.float32(value) * (1 + noise * np.finfo(np.float32).eps)).astype(np.float32)

    assert not scale_of([flat], "minmax").levels(flat).any()


@given(heat=arrays.arrays(np.float32, (3, 4), elements=st.floats(-(2.0**99), 0, width=32)))
@settings(max_examples=100, deadline=None)
def test_a_map_that_speaks_against_the_class_shows_nothing_in_favour(heat: NDArray[np.float32]) -> None:
    """All-negative and all-zero maps, by either scale of evidence in favour."""
    assert not scale_for(heat, "max").levels(heat).any()
    assert not scale_for(heat, "none").levels(heat).any()


def test_every_normalization_has_the_ends_it_names() -> None:
    heat = np.array([[-4.0, 1.0, 2.0]], np.float32)

    assert scale_of([heat], "max") == Scale(0.0, 2.0)
    assert scale_of([heat], "minmax") == Scale(-4.0, 2.0)
    assert scale_of([heat], "signed") == Scale(-4.0, 4.0, is_signed=True)
    assert scale_of([heat], "none", full_scale=8.0) == Scale(0.0, 8.0)
    assert scale_of([heat], "none", full_scale=8.0).levels(heat).tolist() == [[0.0, 0.125, 0.25]]
    assert scale_of([heat], "signed").levels(heat).tolist() == [[-1.0, 0.25, 0.5]]


def test_what_lies_beyond_a_fixed_scale_is_at_its_end() -> None:
    heat = np.array([[1.0, 100.0]], np.float32)

    assert scale_of([heat], "none", full_scale=2.0).levels(heat).tolist() == [[0.5, 1.0]]


def test_maps_on_one_scale_can_be_compared() -> None:
    """Of any shapes; the weaker one looks weaker."""
    weak, strong = np.full((2, 2), 1.0, np.float32), np.full((3, 5), 4.0, np.float32)

    scale = scale_of([weak, strong], "max")

    assert scale.levels(weak).max() == 0.25
    assert scale.levels(strong).max() == 1.0


@pytest.mark.parametrize("full_scale", [0.0, -1.0, math.nan, math.inf])
def test_a_full_scale_that_is_no_scale_is_refused(full_scale: float) -> None:
    with pytest.raises(ValueError, match="full_scale must be a positive number"):
        scale_of([], "none", full_scale=full_scale)


def test_a_full_scale_goes_with_none_and_only_with_it() -> None:
    """A parameter that silently did nothing would be a lie."""
    with pytest.raises(ValueError, match="needs a full_scale"):
        scale_of([], "none")
    with pytest.raises(ValueError, match="find their own"):
        scale_of([], "max", full_scale=3.0)


def test_no_maps_and_maps_of_nothing_are_an_empty_scale() -> None:
    nothing = np.full((2, 2), np.nan, np.float32)

    for normalization in ("max", "minmax", "signed"):
        assert scale_of([], normalization).is_empty
        assert scale_of([nothing], normalization).is_empty
        assert scale_of([np.zeros((2, 2), np.float32)], normalization).is_empty


@given(
    shades=arrays.arrays(
        np.float32, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.floats(0, 255, width=32)
    ),
    cells=st.builds(Affine, st.floats(0.3, 40), st.floats(-30, 30), st.floats(0.3, 40), st.floats(-30, 30)),
)
@settings(max_examples=100, deadline=None)
def test_whole_shades_are_the_upsampled_ones_rounded(shades: NDArray[np.float32], cells: Affine) -> None:
    """Any grid, finer than the pixels too; more than one band of rows."""
    columns, rows = range(3, 40), range(2, 71)

    whole = upsampled_shades(shades, cells, columns=columns, rows=rows)

    exact = upsampled(shades, cells, columns=columns, rows=rows)
    assert whole.shape == exact.shape == (69, 37)
    assert np.abs(whole.astype(np.float64) - exact).max() <= 0.5 + 1e-3


def test_clipped_scale_leaves_a_share_of_the_strongest_cells_above_its_end() -> None:
    """One cell that is far stronger than all others does not hide them, and the scale says that it was cut."""
    heat = np.linspace(-1, 1, 400, dtype=np.float32).reshape(20, 20)
    heat[0, 0] = 50.0

    scale = clipped_scale_of(heat, 0.01)

    assert scale.is_clipped
    assert 0.9 < scale.high <= 1.0
    assert scale.levels(heat)[0, 0] == 1.0
    few = clipped_scale_of(np.eye(3, dtype=np.float32), 0.01)
    assert (few.high, few.is_clipped) == (1.0, False)
    assert clipped_scale_of(-np.eye(3, dtype=np.float32), 0.01).is_empty
