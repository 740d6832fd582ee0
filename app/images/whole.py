"""The manifest's steps for a whole picture: the same scale, nothing cut away.

steps + the picture's size -> the steps that resize alone

A resize after a crop was meant for the window; the whole is resized by the same factors.
"""

from app.domain import Resize, Size, Step
from app.images.geometry import Window, planned


def whole_steps(steps: tuple[Step, ...], size: Size) -> tuple[Resize, ...]:
    """What makes of a picture of this size what the network sees, without its crops."""
    resizes: list[Resize] = []
    seen = whole = size
    for step in steps:
        plan = planned(step, seen)
        if not isinstance(plan, Window):
            whole = Size(
                max(1, round(whole.height * plan.size.height / seen.height)),
                max(1, round(whole.width * plan.size.width / seen.width)),
            )
            resizes.append(Resize(whole, plan.interpolation))
        seen = plan.size
    return tuple(resizes)


def whole_size(steps: tuple[Step, ...], size: Size) -> Size:
    """Of the result."""
    resizes = whole_steps(steps, size)
    return resizes[-1].size if resizes else size
