"""A class activation map as numbers to be drawn: scaled, and brought to the picture's pixels.

(rows, cols) in logit units -> 0..1 (or -1..1) -> the same at every pixel's centre
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.domain import Affine

Normalization = Literal["max", "minmax", "signed"]
"""max: evidence in favour, the strongest is 1, none is 0. minmax: from the weakest to the strongest, as CAM
libraries draw it. signed: for and against, on one scale about a transparent zero."""


def normalized(heat: NDArray[np.float32], normalization: Normalization) -> NDArray[np.float32]:
    """The map on 0..1, or -1..1 for signed; all zero where there is nothing to show. Never NaN.

    Args:
        heat: (rows, cols), any finite or non-finite numbers.
        normalization: what they are measured against.
    """
    is_finite = np.isfinite(heat)
    values = np.where(is_finite, heat, 0.0).astype(np.float64)  # 1e38 - -1e38 is no float32
    if normalization == "minmax":
        lowest = values.min(where=is_finite, initial=np.inf)
        values = np.where(is_finite, values - lowest, 0.0)
    elif normalization == "max":
        values = values.clip(min=0.0)
    peak = np.abs(values).max()
    # A subnormal peak is rounding, not evidence, and dividing by it may overflow.
    if peak <= np.finfo(np.float32).tiny:
        return np.zeros(heat.shape, np.float32)
    scaled: NDArray[np.float32] = (values / peak).astype(np.float32)
    return scaled


def upsampled(
    levels: NDArray[np.float32], to_pixels: Affine, *, columns: range, rows: range
) -> NDArray[np.float32]:
    """The map at the centres of these pixels, bilinear between cell centres, clamped at the outer ones.

    Equal to torch's interpolate(mode="bilinear", align_corners=False) where the grid spans the pixels
    exactly. The map between the frames is axis-aligned, so two small matrices do it.

    Returns:
        (len(rows), len(columns)) float32.
    """
    across = _interpolation(levels.shape[1], columns, to_pixels.scale_x, to_pixels.offset_x)
    down = _interpolation(levels.shape[0], rows, to_pixels.scale_y, to_pixels.offset_y)
    return np.asarray(down @ (levels @ across.T), dtype=np.float32)


def _interpolation(cells: int, pixels: range, scale: float, offset: float) -> NDArray[np.float32]:
    """(pixels, cells): each row the weights of at most two neighbouring cells, sum 1."""
    centres = np.arange(pixels.start, pixels.stop) + 0.5
    position = ((centres - offset) / scale - 0.5).clip(0.0, cells - 1.0)
    first = np.minimum(position.astype(np.intp), max(cells - 2, 0))
    weight = position - first
    matrix = np.zeros((len(pixels), cells), np.float32)
    row = np.arange(len(pixels))
    matrix[row, first] = 1.0 - weight
    matrix[row, np.minimum(first + 1, cells - 1)] += weight
    return matrix
