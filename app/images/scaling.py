"""How much smaller a JPEG may be decoded for the network, and what has to prove it.

steps + the picture's size -> 1, 2, 4 or 8

libjpeg's inverse cosine transform gives 1/2, 1/4 or 1/8 of the sides at the same fraction of the work. What the first
resize would have averaged away is then never computed; what it computes instead differs by a level or two, so the
golden images decide whether a model bears it.
"""

from collections.abc import Iterable

from app.domain import CropBox, Geometry, Size, Step
from app.errors import SelfTestFailed
from app.images.geometry import Scaling, planned

FACTORS = (8, 4, 2)
LEAST_OVERSAMPLING = 2
"""Times the pixels along each side that the first resize needs: at less, its own filter shows what is missing."""


def reduction(steps: tuple[Step, ...], size: Size) -> int:
    """By what the sides of a picture of this size may be divided; 1 where it must be decoded as it is."""
    frame = _frame_of_first_resize(steps, size)
    if frame is None:
        return 1
    window, target = frame
    for factor in FACTORS:
        least = LEAST_OVERSAMPLING * factor
        if window.height >= least * target.height and window.width >= least * target.width:
            return factor
    return 1


def refuse_unproved(geometry: Geometry, were_reduced: Iterable[bool]) -> None:
    """A bundle that decodes smaller needs golden images that were in fact decoded smaller.

    Args:
        geometry: the manifest's.
        were_reduced: of each golden image; none where there are none.

    Raises:
        SelfTestFailed: `decode = "scaled"`, and nothing was.
    """
    if geometry.decode == "scaled" and not any(were_reduced):
        raise SelfTestFailed(
            'decode = "scaled" is unproved: none of the golden images is a JPEG so large that it is decoded smaller; '
            'add one of the line\'s own camera, or write decode = "exact" in model.toml'
        )


def _frame_of_first_resize(steps: tuple[Step, ...], size: Size) -> tuple[Size, Size] | None:
    """What it reads and what it makes; None where pixels are counted before, or nothing is resized."""
    for step in steps:
        plan = planned(step, size)
        if isinstance(plan, Scaling):
            return size, plan.size
        if not isinstance(step, CropBox):
            return None
        size = plan.size
    return None
