"""Does the place that a map points to matter? Three more pictures, and what their probabilities say.

image (h, w, 3) uint8 + region (h, w) -> cover -> three images -> (the network) -> CoverCheck

Covered without its control, a region proves little: covering anything may lower a probability. So an equally
large region elsewhere is covered too. Knows no network; the caller predicts.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.explain.fill import blended, coarse, feathered, surroundings

Verdict = Literal["lowers", "no_better_than_random", "hardly_changes", "raises", "nothing_to_lose"]

HARDLY = 0.05
"""Probabilities this near to each other are called the same; a line's gate would not tell them apart."""
NOTHING_TO_LOSE = 2 * HARDLY
"""A class less probable than this cannot fall far enough to be seen falling."""
AS_MUCH = 0.8
"""Covering another place that takes away this share of what the region takes away does as much."""
MAX_OVERLAP = 0.25
"""A control that shares more than this with the region is none."""
_SMALL_OVERLAP = 0.1
"""A whole region that overlaps this little is a better control than one in two pieces that does not."""
_TRIES = 64
"""For a place of the control; a twentieth of the image finds a free one at the first or second."""


@dataclass(frozen=True, slots=True)
class CoverPictures:
    """What the network is asked three times more; all (h, w, 3) uint8."""

    without_region: NDArray[np.uint8]
    """The region replaced by its surroundings."""
    only_region: NDArray[np.uint8]
    """All but the region replaced by its own colours, without any form."""
    without_random: NDArray[np.uint8]
    """A region of the same shape and size elsewhere, replaced by its surroundings."""
    area_fraction: float
    """Of the region in the image, 0..1; the random one has the same."""
    random_overlap: float
    """Share of the random region that lies on the region: 0 where the image has room for both."""

    def check(
        self, probability: float, without_region: float, only_region: float, without_random: float
    ) -> "CoverCheck":
        """With what the network said of the whole image and of these three."""
        return CoverCheck(
            probability=probability,
            without_region=without_region,
            only_region=only_region,
            without_random=without_random,
            area_fraction=self.area_fraction,
            random_overlap=self.random_overlap,
        )


@dataclass(frozen=True, slots=True)
class CoverCheck:
    """Probabilities of the target class, 0..1, and the areas they belong to."""

    probability: float
    without_region: float
    only_region: float
    without_random: float
    area_fraction: float
    random_overlap: float

    @property
    def verdict(self) -> Verdict:
        """What covering the region does to the probability, beside its control."""
        drop = self.probability - self.without_region
        if drop <= -HARDLY:
            return "raises"
        if self.probability < NOTHING_TO_LOSE:
            return "nothing_to_lose"
        if drop < HARDLY:
            return "hardly_changes"
        control = self.probability - self.without_random
        if self.random_overlap <= MAX_OVERLAP and control >= AS_MUCH * drop:
            return "no_better_than_random"
        return "lowers"


def cover(image: NDArray[np.uint8], region: NDArray[np.bool_]) -> CoverPictures:
    """The three images; the same image and region give the same three.

    Args:
        image: (h, w, 3), what the network took.
        region: (h, w), such as Regions.mask gives.

    Raises:
        ValueError: the region has no pixel.
    """
    if not region.any():
        raise ValueError("a region without a pixel cannot be covered")
    elsewhere = _elsewhere(region, generator_of(image))
    return CoverPictures(
        without_region=_covered(image, region),
        only_region=blended(image, coarse(image), feathered(~region)),
        without_random=_covered(image, elsewhere),
        area_fraction=float(region.mean()),
        random_overlap=float((elsewhere & region).sum() / region.sum()),
    )


def _covered(image: NDArray[np.uint8], region: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return blended(image, surroundings(image, region), feathered(region))


def generator_of(image: NDArray[np.uint8]) -> np.random.Generator:
    """Random, but the same for the same image: an answer must be repeatable."""
    digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def _elsewhere(region: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.bool_]:
    """The region moved to where it overlaps itself least: whole if it can be, else wrapped around the edges."""
    lines, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    height, width = region.shape
    whole = (-lines[0], height - lines[-1]), (-columns[0], width - columns[-1])
    best, least = region, int(region.sum())
    enough = _SMALL_OVERLAP * least
    for (first_y, end_y), (first_x, end_x) in (whole, ((0, height), (0, width))):
        for _ in range(_TRIES):
            step = (int(random.integers(first_y, end_y)), int(random.integers(first_x, end_x)))
            moved = np.roll(region, step, axis=(0, 1))
            overlap = int((moved & region).sum())
            if overlap < least:
                best, least = moved, overlap
            if not least:
                return best
        if least <= enough:
            return best
    return best
