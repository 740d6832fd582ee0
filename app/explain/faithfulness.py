"""Deletion and insertion: does the order in which a map ranks the pixels matter to the network?

image (h, w, 3) uint8 + map -> deletion, insertion -> images -> (the network) -> curve -> Curve with its area

Deletion takes the strongest pixels away first: the faster the probability falls, the better the map. Insertion
begins with nothing and puts the strongest back first. Petsiuk et al. 2018, "RISE". An area alone means
nothing: a network that gives up at any change has a small one for every map, so the same is done with the map's
own cells in random order. Knows no network; the caller predicts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from app.domain import Affine, Size
from app.explain.cover import generator_of
from app.explain.sampling import finite, sampled

DEFAULT_STEPS = 10


@dataclass(frozen=True, slots=True)
class Curve:
    """What the network said while pixels went or came."""

    fractions: tuple[float, ...]
    """Of the pixels, 0..1; the first is 0 and the last 1."""
    probabilities: tuple[float, ...]
    """Of the target class, one for each fraction."""
    area: float
    """Under the probabilities over the fractions, 0..1."""


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """A map beside the same map in random order."""

    deletion: Curve
    insertion: Curve
    random_deletion: Curve
    random_insertion: Curve

    @property
    def is_better_than_random(self) -> bool:
        """Whether the map's order tells the network more than chance, by both curves."""
        return (
            self.deletion.area < self.random_deletion.area
            and self.insertion.area > self.random_insertion.area
        )


def pixel_order(cells: NDArray[np.floating], size: Size, cell_to_input: Affine) -> NDArray[np.intp]:
    """The pixels of the network's input, the map's strongest first.

    Args:
        cells: the map, (rows, cols), signed; not finite counts as no evidence.
        size: of the network's input.
        cell_to_input: from grid coordinates to the input's pixels.

    Returns:
        (h * w,) flat indices; equal pixels stay in reading order.
    """
    rows: NDArray[np.float64] = np.arange(0.5, size.height) - cell_to_input.offset_y
    columns: NDArray[np.float64] = np.arange(0.5, size.width) - cell_to_input.offset_x
    levels = sampled(finite(cells), rows / cell_to_input.scale_y, columns / cell_to_input.scale_x)
    return np.argsort(-levels, axis=None, kind="stable")


def shuffled(cells: NDArray[np.float32], image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The map's own numbers in random order, the same for the same image: as smooth and as peaked as the map."""
    return generator_of(image).permutation(cells.ravel()).reshape(cells.shape)


def counts(pixels: int, steps: int) -> list[int]:
    """How many pixels have gone or come after each step: 0, equal steps rounded up, all of them."""
    step = -(-pixels // steps)
    return [*range(0, pixels, step), pixels]


def deletion(
    image: NDArray[np.uint8],
    order: NDArray[np.intp],
    *,
    fill: NDArray[np.uint8],
    steps: int = DEFAULT_STEPS,
) -> Iterator[NDArray[np.uint8]]:
    """The image, then with ever more of the strongest pixels replaced, at last nothing but `fill`.

    Args:
        image: (h, w, 3), what the network took.
        order: from `pixel_order`.
        fill: what stands for nothing, such as app.explain.fill.coarse gives, (h, w, 3).
        steps: at least 1; the number of images is at most one more.

    Yields:
        (h, w, 3), each an array of its own.
    """
    return _replaced(image, fill, order, steps)


def insertion(
    image: NDArray[np.uint8],
    order: NDArray[np.intp],
    *,
    fill: NDArray[np.uint8],
    steps: int = DEFAULT_STEPS,
) -> Iterator[NDArray[np.uint8]]:
    """Nothing but `fill`, then with ever more of the strongest pixels put back, at last the image."""
    return _replaced(fill, image, order, steps)


def curve(probabilities: Sequence[float], *, pixels: int, steps: int = DEFAULT_STEPS) -> Curve:
    """What the network said of the images of `deletion` or `insertion`, in their order.

    Args:
        probabilities: one per image.
        pixels: of an image, height times width.
        steps: as those images were made with.
    """
    fractions = np.array(counts(pixels, steps)) / pixels
    heights = np.asarray(probabilities, dtype=np.float64)
    if heights.shape != fractions.shape:
        raise ValueError(f"{len(fractions)} images were made, {len(heights)} probabilities were given")
    area = float(((heights[1:] + heights[:-1]) / 2 * np.diff(fractions)).sum())
    return Curve(tuple(fractions.tolist()), tuple(heights.tolist()), area)


def average_drop(whole: Sequence[float], masked: Sequence[float]) -> float:
    """By how much the probability falls when only the map's part is left, a share of it, mean over images.

    A rise counts as no drop (Chattopadhay et al. 2018, "Grad-CAM++"). Probabilities above 0.
    """
    before, after = np.asarray(whole, dtype=np.float64), np.asarray(masked, dtype=np.float64)
    return float(((before - after).clip(min=0.0) / before).mean())


def _replaced(
    begin: NDArray[np.uint8], end: NDArray[np.uint8], order: NDArray[np.intp], steps: int
) -> Iterator[NDArray[np.uint8]]:
    image = begin.copy()
    flat, source = image.reshape(order.size, -1), end.reshape(order.size, -1)
    marks = counts(order.size, steps)
    yield image.copy()
    for first, last in pairwise(marks):
        moved = order[first:last]
        flat[moved] = source[moved]
        yield image.copy()
