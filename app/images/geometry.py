"""What each step of the manifest does to a size, in numbers only; no pixels here.

size + step -> the window or the new size, and the affine from the new frame back to the old one.
The arithmetic is torchvision's for PIL images (transforms v1 and v2 agree), cited at each line.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from app.domain import Affine, Anchor, Crop, CropBox, Interpolation, Resize, ResizeShorter, Size, Step


@dataclass(frozen=True, slots=True)
class Scaling:
    """Resample to `size`."""

    size: Size
    interpolation: Interpolation


@dataclass(frozen=True, slots=True)
class Window:
    """Cut `size` out at (left, top); what lies outside the image is black."""

    left: int
    top: int
    size: Size


def planned(step: Step, size: Size) -> Scaling | Window:
    """What the step means for an image of this size."""
    match step:
        case Resize():
            return Scaling(step.size, step.interpolation)
        case ResizeShorter():
            return Scaling(_shorter_side_to(step.shorter, size), step.interpolation)
        case Crop():
            left = _offset(size.width, step.size.width, _HORIZONTAL[step.anchor])
            top = _offset(size.height, step.size.height, _VERTICAL[step.anchor])
            return Window(left=left, top=top, size=step.size)
        case CropBox():
            left, right = _fractions(step.x0, step.x1, size.width)
            top, bottom = _fractions(step.y0, step.y1, size.height)
            return Window(left=left, top=top, size=Size(height=bottom - top, width=right - left))
        case _:
            assert_never(step)


def backwards(plan: Scaling | Window, size: Size) -> Affine:
    """From the frame after the plan to the frame of `size` before it."""
    if isinstance(plan, Window):
        return Affine(offset_x=float(plan.left), offset_y=float(plan.top))
    return Affine(scale_x=size.width / plan.size.width, scale_y=size.height / plan.size.height)


def output_size(steps: Iterable[Step]) -> Size | None:
    """The size that comes out whatever goes in; None if it depends on the picture."""
    size: Size | None = None
    for step in steps:
        if isinstance(step, Resize | Crop):
            size = step.size
        elif size is not None:
            size = planned(step, size).size
    return size


_HORIZONTAL: dict[Anchor, float] = {
    "top_left": 0.0, "left": 0.0, "bottom_left": 0.0,
    "top": 0.5, "center": 0.5, "bottom": 0.5,
    "top_right": 1.0, "right": 1.0, "bottom_right": 1.0,
}  # fmt: skip
_VERTICAL: dict[Anchor, float] = {
    "top_left": 0.0, "top": 0.0, "top_right": 0.0,
    "left": 0.5, "center": 0.5, "right": 0.5,
    "bottom_left": 1.0, "bottom": 1.0, "bottom_right": 1.0,
}  # fmt: skip


def _shorter_side_to(shorter: int, size: Size) -> Size:
    """torchvision.transforms.functional._compute_resized_output_size: the longer side is truncated."""
    if size.width <= size.height:
        return Size(height=int(shorter * size.height / size.width), width=shorter)
    return Size(height=shorter, width=int(shorter * size.width / size.height))


def _offset(length: int, window: int, place: float) -> int:
    """Where a window begins on one axis; negative where the image is smaller than the window."""
    if place == 0.0:
        return 0
    if place == 1.0:
        return length - window
    if window > length:  # torchvision pads (window - length) // 2 before and the rest behind
        return -((window - length) // 2)
    return round((length - window) / 2.0)  # halves go to the even number, as in torchvision's center_crop


def _fractions(begin: float, end: float, length: int) -> tuple[int, int]:
    """Both edges to the nearest whole pixel; never empty, never outside."""
    first = min(math.floor(begin * length + 0.5), length - 1)
    return first, max(math.floor(end * length + 0.5), first + 1)
