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
    exactly. The two axes are separate, so each is a blend of two neighbours. Not a matrix product: BLAS
    would start its threads for it, which took 30 ms instead of 1 on a machine whose cores were busy.

    Returns:
        (len(rows), len(columns)) float32.
    """
    left, weight = _neighbours(levels.shape[1], columns, to_pixels.scale_x, to_pixels.offset_x)
    right = np.minimum(left + 1, levels.shape[1] - 1)
    wide = levels[:, left] * (1 - weight) + levels[:, right] * weight

    upper, weight = _neighbours(levels.shape[0], rows, to_pixels.scale_y, to_pixels.offset_y)
    lower = np.minimum(upper + 1, levels.shape[0] - 1)
    field: NDArray[np.float32] = wide[lower]
    field -= wide[upper]
    field *= weight[:, None]
    field += wide[upper]
    return field


def _neighbours(
    cells: int, pixels: range, scale: float, offset: float
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """For every pixel's centre: the cell before it, and how far on the way to the next it is, 0..1."""
    centres = np.arange(pixels.start, pixels.stop) + 0.5
    position = ((centres - offset) / scale - 0.5).clip(0.0, cells - 1.0)
    before = position.astype(np.intp)
    return before, (position - before).astype(np.float32)
