"""The manifest's geometry, executed exactly as training did.

Picture -> crop and resize on 8-bit pixels -> (h, w, 3) uint8, and the affine back to the picture

Bit-identical to torchvision's transforms on PIL images. Scale, mean and std are the network's own and do not
happen here.
"""

from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.domain import Affine, Size, Step
from app.errors import ImageTooLarge
from app.images.decode import Picture, Reduced
from app.images.geometry import Scaling, Window, backwards, output_size, planned
from app.images.resample import Frame, Span, cut, resized

__all__ = ["MAX_INTERMEDIATE_PIXELS", "Preprocessed", "output_size", "preprocess"]

MAX_INTERMEDIATE_PIXELS = 32_000_000
"""Above this (128 MB in Pillow), and above the picture itself, a step is refused. A 256-pixel shorter side
gets there at 1 : 488, which is no photograph."""


@dataclass(frozen=True, slots=True)
class Preprocessed:
    """What the network sees, and where it came from."""

    pixels: NDArray[np.uint8]
    """(h, w, 3), RGB, C-contiguous."""
    to_original: Affine
    """From this image's pixel frame to the picture's."""


def preprocess(picture: Picture, steps: tuple[Step, ...]) -> Preprocessed:
    """Applies the steps in order.

    Raises:
        ImageTooLarge: a step would make an image beyond all bounds, from a very elongated picture.
    """
    plans, to_original = _planned(Size(picture.height, picture.width), steps)
    image, frame = picture.image, None
    if picture.reduced is not None:
        image, frame, plans = _begun(picture.reduced, plans)
    waiting = deque(plans)
    while waiting:
        plan = waiting.popleft()
        if isinstance(plan, Window):
            image = cut(image, plan)
        else:
            following = waiting[0] if waiting else None
            window = following if isinstance(following, Window) else None
            if window is not None:
                waiting.popleft()
            image = resized(image, plan, window, frame)
            frame = None
    return Preprocessed(pixels=np.array(image, dtype=np.uint8), to_original=to_original)


@lru_cache(maxsize=512)  # a line's camera has one size
def _planned(picture: Size, steps: tuple[Step, ...]) -> tuple[tuple[Scaling | Window, ...], Affine]:
    """What each step means for a picture of this size, in its own pixels; raises ImageTooLarge."""
    size, to_original = picture, Affine()
    plans: list[Scaling | Window] = []
    for step in steps:
        plan = planned(step, size)
        if _working_pixels(plan, size) > max(MAX_INTERMEDIATE_PIXELS, size.height * size.width):
            raise ImageTooLarge(
                f"preparing this {picture.width} x {picture.height} picture for the model would need an image of "
                f"{_working_pixels(plan, size):,} pixels; crop the picture to a less elongated shape"
            )
        plans.append(plan)
        to_original = backwards(plan, size).then(to_original)
        size = plan.size
    return tuple(plans), to_original


def _begun(
    reduced: Reduced, plans: tuple[Scaling | Window, ...]
) -> tuple[Image.Image, Frame, tuple[Scaling | Window, ...]]:
    """The windows before the first resize, cut from the smaller image to the fraction of a pixel; what remains to do.

    At most one pixel of the smaller image stays beyond each edge of the window.
    """
    left, top, size = 0, 0, reduced.size
    done = 0
    for plan in plans:
        if isinstance(plan, Scaling):
            break
        left, top, size = left + plan.left, top + plan.top, plan.size
        done += 1
    across, columns = _span(left, size.width, reduced.factor)
    down, rows = _span(top, size.height, reduced.factor)
    return reduced.image.crop((columns[0], rows[0], columns[1], rows[1])), Frame(across, down), plans[done:]


def _span(begin: int, length: int, factor: int) -> tuple[Span, tuple[int, int]]:
    """Of the picture's pixels, on an image that is smaller by `factor` and was cut to the columns (or rows) returned."""
    first, last = begin // factor, -(-(begin + length) // factor)
    return Span(Fraction(begin, factor) - first, Fraction(length, factor)), (first, last)


def _working_pixels(plan: Scaling | Window, size: Size) -> int:
    """The most pixels (of four bytes) that Pillow holds at once while it does this."""
    result = plan.size.height * plan.size.width
    if isinstance(plan, Window) or plan.interpolation == "nearest":
        return result
    # Pillow resamples rows first, every one of them, and keeps up to six doubles for each pixel of a side.
    return max(result, plan.size.width * size.height, 12 * max(size.height, size.width))
