"""A class activation map as numbers to be drawn: scaled, and brought to the picture's pixels.

maps (rows, cols) in logit units -> Scale -> levels 0..1 (or -1..1) -> the same at every pixel's centre
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.domain import Affine

Normalization = Literal["max", "minmax", "signed", "none"]
"""max: evidence in favour, the strongest is 1, none is 0. minmax: from the weakest to the strongest, as CAM
libraries draw it. signed: for and against, on one scale about a transparent zero. none: evidence in favour on
a scale that the caller fixes in logit units, so that pictures can be compared."""

# Differences this small beside the numbers themselves are float32 rounding, not evidence: drawn on their own
# scale they would be colours out of nothing.
_RESOLUTION = 8 * float(np.finfo(np.float32).eps)
_BAND = 32
"""Rows: 100 KB of a picture 768 pixels wide."""


@dataclass(frozen=True, slots=True)
class Scale:
    """What the ends of the colours mean, in logit units; several maps may share one."""

    low: float
    high: float
    """Not above `low`: there is nothing to show."""
    is_signed: bool = False
    """`low` is -`high`, and zero is in the middle and transparent."""
    is_clipped: bool = False
    """Some of what is drawn with the strongest colour lies above `high`."""

    @property
    def is_empty(self) -> bool:
        """No map on it shows anything."""
        # A subnormal span is rounding as well, and dividing by it may overflow.
        return not self.high - self.low > float(np.finfo(np.float32).tiny)

    def levels(self, heat: NDArray[np.float32]) -> NDArray[np.float32]:
        """The map on 0..1, or -1..1 if signed; what lies beyond the ends is at the ends. Never NaN.

        NaN and infinities are no evidence: zero. All of it is zero on an empty scale.
        """
        if self.is_empty:
            return np.zeros(heat.shape, np.float32)
        is_finite = np.isfinite(heat)
        values = np.where(is_finite, heat, 0.0).astype(np.float64)  # 1e38 - -1e38 is no float32
        if self.is_signed:
            levels = (values / self.high).clip(-1.0, 1.0)
        else:
            levels = np.where(is_finite, (values - self.low) / (self.high - self.low), 0.0).clip(0.0, 1.0)
        return levels.astype(np.float32)


EMPTY = Scale(0.0, 0.0)


def scale_of(
    maps: Iterable[NDArray[np.float32]], normalization: Normalization, *, full_scale: float | None = None
) -> Scale:
    """One scale for all these maps.

    Args:
        maps: (rows, cols) each, of any shapes, logit units; NaN and infinities are left out.
        normalization: how the ends are found.
        full_scale: for `none`, and only there: the logit units that are drawn with the strongest colour.

    Raises:
        ValueError: `none` without a full scale that is positive and finite, or a full scale without `none`.
    """
    if (normalization == "none") != (full_scale is not None):
        raise ValueError(
            'normalization "none" needs a full_scale in logit units; the others find their own scale'
        )
    if full_scale is not None:
        if not (math.isfinite(full_scale) and full_scale > 0):
            raise ValueError(f"full_scale must be a positive number of logit units, not {full_scale}")
        return Scale(0.0, full_scale)
    finite = [heat[np.isfinite(heat)] for heat in maps]
    ends = [(float(values.min()), float(values.max())) for values in finite if values.size]
    if not ends:
        return EMPTY
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    size = max(-low, high)
    if normalization == "signed":
        return Scale(-size, size, is_signed=True)
    if normalization == "max":
        low = 0.0
    return Scale(low, high) if high - low > _RESOLUTION * size else EMPTY


def clipped_scale_of(heat: NDArray[np.float32], share: float) -> Scale:
    """As `max`, but the strongest `share` of the cells with evidence in favour may lie above the end.

    In the many small cells of an early layer a single one is often several times as strong as all others, which
    would then hardly be seen.
    """
    full = scale_of([heat], "max")
    favourable = heat[np.isfinite(heat) & (heat > 0)]
    if full.is_empty or not favourable.size:
        return full
    high = float(np.quantile(favourable, 1.0 - share, method="higher"))
    return Scale(0.0, high, is_clipped=high < full.high)


def upsampled(
    levels: NDArray[np.float32], to_pixels: Affine, *, columns: range, rows: range
) -> NDArray[np.float32]:
    """The map at the centres of these pixels, bilinear between cell centres, clamped at the outer ones.

    Equal to torch's interpolate(mode="bilinear", align_corners=False) where the grid spans the pixels
    exactly.

    Returns:
        (len(rows), len(columns)) float32.
    """
    field = np.empty((len(rows), len(columns)), np.float32)
    for lines, band in _bands(levels, to_pixels, columns=columns, rows=rows):
        field[lines] = band
    return field


def upsampled_shades(
    shades: NDArray[np.float32], to_pixels: Affine, *, columns: range, rows: range
) -> NDArray[np.uint8]:
    """As `upsampled`, of numbers within 0..255, to the nearest whole one."""
    field = np.empty((len(rows), len(columns)), np.uint8)
    # Half added to the cells is half added to whatever is blended from them, and the conversion truncates.
    for lines, band in _bands(shades + np.float32(0.5), to_pixels, columns=columns, rows=rows):
        field[lines] = band
    return field


def _bands(
    levels: NDArray[np.float32], to_pixels: Affine, *, columns: range, rows: range
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """The upsampled map a few rows at a time, in a buffer that the next ones overwrite.

    The two axes are separate, and the rows between two cell centres are one outer product and one sum. A buffer
    that stays in the cache, since the pages of a fresh array of a picture's size cost more than the arithmetic.
    Not a matrix product: BLAS would start its threads for it, 30 ms instead of 1 on a machine whose cores are busy.
    """
    left, weight = _neighbours(levels.shape[1], columns, to_pixels.scale_x, to_pixels.offset_x)
    right = np.minimum(left + 1, levels.shape[1] - 1)
    wide = levels[:, left]
    wide += (levels[:, right] - wide) * weight

    upper, weight = _neighbours(levels.shape[0], rows, to_pixels.scale_y, to_pixels.offset_y)
    steps = np.diff(wide, axis=0, append=wide[-1:])
    buffer = np.empty((_BAND, len(columns)), np.float32)
    borders = [0, *(np.flatnonzero(np.diff(upper)) + 1).tolist(), len(rows)]
    for first, last in pairwise(borders):
        cell = upper[first]
        for begin in range(first, last, _BAND):
            end = min(begin + _BAND, last)
            band = buffer[: end - begin]
            np.multiply(weight[begin:end, None], steps[cell], out=band)
            band += wide[cell]
            yield slice(begin, end), band


def _neighbours(
    cells: int, pixels: range, scale: float, offset: float
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """For every pixel's centre: the cell before it, and how far on the way to the next it is, 0..1."""
    centres = np.arange(pixels.start, pixels.stop) + 0.5
    position = ((centres - offset) / scale - 0.5).clip(0.0, cells - 1.0)
    before = position.astype(np.intp)
    return before, (position - before).astype(np.float32)
