"""Asks the network whether a map's places matter to it: covered pictures in, probabilities out.

Explanation + Findings + the network's input -> more images through the same queue -> CoverCheck, Faithfulness

Knows no queue: how images are predicted is the caller's.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from app.domain import Explanation, Size
from app.explain.cover import CoverCheck, CoverPictures, cover
from app.explain.faithfulness import (
    DEFAULT_STEPS,
    Curve,
    Faithfulness,
    curve,
    deletion,
    insertion,
    pixel_order,
    shuffled,
)
from app.explain.fill import coarse
from app.explain.findings import Findings

Pixels = NDArray[np.uint8]
Ask = Callable[[Sequence[Pixels]], Awaitable[list[float]]]
"""Images of the model's size -> the target's probability of each."""


def cover_pictures(explanation: Explanation, findings: Findings, pixels: Pixels) -> CoverPictures | None:
    """The three pictures of the first region; None where there is none on the input."""
    if not findings.regions.regions:
        return None
    mask = findings.regions.mask(1, Size(*pixels.shape[:2]), explanation.cell_to_input)
    return cover(pixels, mask) if mask.any() else None


async def cover_check(pictures: CoverPictures, probability: float, ask: Ask) -> CoverCheck:
    """The verdict on the first region, for three more images in one batch."""
    return pictures.check(
        probability, *await ask((pictures.without_region, pictures.only_region, pictures.without_random))
    )


async def faithfulness(explanation: Explanation, pixels: Pixels, ask: Ask, *, at_once: int) -> Faithfulness:
    """Deletion and insertion by the map and by the same map in random order: 44 images.

    Args:
        explanation: whose main map it is.
        pixels: the network's input, (h, w, 3).
        ask: predicts.
        at_once: images asked together; others' requests come in between.
    """
    size = Size(*pixels.shape[:2])
    nothing: Pixels = np.rint(coarse(pixels)).astype(np.uint8)

    async def followed(images: Iterable[Pixels]) -> Curve:
        waiting = iter(images)
        probabilities: list[float] = []
        while some := list(islice(waiting, at_once)):
            probabilities += await ask(some)
        return curve(probabilities, pixels=size.height * size.width, steps=DEFAULT_STEPS)

    values = explanation.map.values
    orders = [
        pixel_order(ranked, size, explanation.cell_to_input) for ranked in (values, shuffled(values, pixels))
    ]
    return Faithfulness(
        *[
            await followed(changed(pixels, order, fill=nothing))
            for order in orders
            for changed in (deletion, insertion)
        ]
    )
