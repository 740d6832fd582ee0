"""What stands in for a part of an image that a network shall not see.

image (h, w, 3) uint8 + mask (h, w) -> surroundings -> the image as its visible part goes on, without any detail
image -> coarse -> the whole image without detail
image + another + weight (h, w) -> blended -> one fading into the other

Filled from its surroundings, a region leaves nothing behind, not even the colour of its ink, which a blur would
keep; and no edge appears that was not there, which grey or black would draw (Petsiuk et al. 2018, "RISE", begin
from a blurred picture for that reason; Rong et al. 2022, "ROAD", fill from the neighbours as is done here).
"""

import numpy as np
from numpy.typing import NDArray

from app.explain.sampling import sampled

_FINE, _COARSE = 28, 7
"""Blocks to the shorter side, 8 and 32 pixels of a 224 x 224 image. For a part to be replaced by its surroundings
a fine mean meets its edge best. For the whole image the mean must be coarse: on the demo model, 60 test pictures,
0.52 of the right class's probability survived blocks of 1 / 28 of the side, 0.33 (of three classes) those of
1 / 14 and 1 / 7."""

_SETTLING = 4
"""Passes per size; two hundred change no grey level of a carcass's covered ham by more than four."""


def surroundings(image: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Local means of the visible pixels; where none is near, of those further away.

    Args:
        image: (h, w, 3).
        hidden: (h, w); its pixels take no part.

    Returns:
        (h, w, 3), 0..255; mid-grey where everything is hidden.
    """
    return _local_means(image, ~hidden, _FINE)


def coarse(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The image as colours without any form, (h, w, 3), 0..255."""
    return _local_means(image, np.ones(image.shape[:2], np.bool_), _COARSE)


def _local_means(
    image: NDArray[np.uint8], visible: NDArray[np.bool_], blocks_per_side: int
) -> NDArray[np.float32]:
    """Means over blocks, over blocks of blocks and so on, bilinear between their middles.

    What is not known at one size comes from the next larger one (push-pull: Gortler et al. 1996, "The Lumigraph"),
    then settles towards the mean of its neighbours.
    """
    height, width = visible.shape
    block = max(1, min(height, width) // blocks_per_side)
    counted = np.empty((height, width, 4), np.float32)
    np.multiply(image, visible[..., None], out=counted[..., :3])
    counted[..., 3] = visible
    levels = [_averaged(counted, block)]
    while max(levels[-1].shape[:2]) > 1:
        levels.append(_averaged(levels[-1], 2))

    colours: NDArray[np.float32] = np.full((1, 1, 3), 127.5, np.float32)
    for level in reversed(levels):
        rows, columns = level.shape[:2]
        colours = sampled(colours, (np.arange(rows) + 0.5) / 2, (np.arange(columns) + 0.5) / 2)
        known, unknown = level[..., :3], 1 - level[..., 3:]
        colours = np.asarray(known + unknown * colours)
        for _ in range(_SETTLING):
            around = np.pad(colours, ((1, 1), (1, 1), (0, 0)), mode="edge")
            beside = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
            colours = np.asarray(known + unknown * beside / 4)
    return sampled(colours, (np.arange(height) + 0.5) / block, (np.arange(width) + 0.5) / block)


def feathered(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The mask with soft edges, 0..1: a hard edge would itself be something to see."""
    reach = max(1, min(mask.shape) // 56)
    weight = mask.astype(np.float32)
    for axis in (0, 1):
        weight = _box_blurred(weight, reach, axis)
    return weight


def blended(
    image: NDArray[np.uint8], other: NDArray[np.float32], weight: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """`image` where the weight is 0, `other` where it is 1."""
    mixed = other - image
    mixed *= weight[..., None]
    mixed += image
    mixed += 0.5
    return mixed.clip(0.0, 255.0).astype(np.uint8)


def _averaged(values: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    """Over block x block: (h, w, 4) -> (ceil(h / block), ceil(w / block), 4).

    The last channel is how much is known, and the first three are colours times that. One known part makes a
    block known: what lies beside a large gap shall fill it, not what lies far away.
    """
    for axis in (0, 1):
        values = np.add.reduceat(values, np.arange(0, values.shape[axis], block), axis=axis)
    return np.asarray(values / np.maximum(values[..., 3:], 1.0))


def _box_blurred(values: NDArray[np.float32], reach: int, axis: int) -> NDArray[np.float32]:
    """Mean over 2 * reach + 1 samples along one axis, the outer ones repeated."""
    padding = [(0, 0), (0, 0)]
    padding[axis] = (reach + 1, reach)
    sums = np.cumsum(np.pad(values, padding, mode="edge"), axis=axis, dtype=np.float64)
    length = values.shape[axis]
    after = np.take(sums, np.arange(2 * reach + 1, length + 2 * reach + 1), axis=axis)
    before = np.take(sums, np.arange(length), axis=axis)
    return ((after - before) / (2 * reach + 1)).astype(np.float32)
