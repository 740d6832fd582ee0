"""A map between its cells: bilinear, and finer by a whole number without changing its mean.

cells (rows, cols) -> refined -> samples (rows * k, cols * k); cells -> sampled -> values at any positions

Coordinates are the grid's: 0.0 is the outer edge of the first cell, 0.5 its centre. What is drawn on a picture
(app/images) lies the same way, so what is said of a map is true of what is seen.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

MAX_SAMPLES_PER_SIDE = 256
"""A person points at a region with less precision than this; a finer map only costs time."""
MAX_SAMPLES_PER_CELL = 31

FloatT = TypeVar("FloatT", np.float32, np.float64)


def finite(cells: NDArray[np.floating]) -> NDArray[np.float64]:
    """The map in double precision (1e38 + 1e38 is no float32); NaN and infinities count as no evidence."""
    return np.asarray(np.where(np.isfinite(cells), cells, 0.0).astype(np.float64))


def sampled(
    cells: NDArray[FloatT], rows_at: NDArray[np.float64], columns_at: NDArray[np.float64]
) -> NDArray[FloatT]:
    """The map at every crossing of these positions: bilinear between cell centres, clamped at the outer ones.

    Args:
        cells: (rows, cols), at least one; or (rows, cols, channels).
        rows_at: (n,) in grid coordinates, any.
        columns_at: (m,) likewise.

    Returns:
        (n, m), or (n, m, channels), in the precision of the cells.
    """
    trailing = (1,) * (cells.ndim - 2)
    before, after, way = _neighbours(cells.shape[1], columns_at)
    weight = way.astype(cells.dtype).reshape(-1, *trailing)
    wide = cells[:, before] * (1 - weight) + cells[:, after] * weight
    before, after, way = _neighbours(cells.shape[0], rows_at)
    weight = way.astype(cells.dtype).reshape(-1, 1, *trailing)
    return np.asarray(wide[before] * (1 - weight) + wide[after] * weight)


def refined(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """The map at k x k points in each cell; its mean is the mean of the cells, so a sum rule survives.

    Every sample carries 1 / samples of the mean. That holds exactly because k is whole: a cell's tent of
    influence then sums to k in each direction, and what the outer cells lose beyond the edge they gain by
    clamping. k is odd, so that one sample is each cell's centre and no maximum is missed.
    """
    rows, columns = cells.shape
    k = samples_per_cell(rows, columns)
    return sampled(cells, (np.arange(rows * k) + 0.5) / k, (np.arange(columns * k) + 0.5) / k)


def samples_per_cell(rows: int, columns: int) -> int:
    """How fine `refined` is: the largest odd number within the bounds, 1 where the grid is already that fine."""
    k = min(MAX_SAMPLES_PER_SIDE // max(rows, columns), MAX_SAMPLES_PER_CELL)
    return max(1, k - 1 + k % 2)


def _neighbours(
    count: int, positions: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """The cell before each position, the one after it, and how far on the way between their centres it is."""
    centred = (positions - 0.5).clip(0.0, count - 1.0)
    before = centred.astype(np.intp)
    return before, np.minimum(before + 1, count - 1), centred - before
