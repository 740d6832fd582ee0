"""The part of a resized image that the next crop keeps, without computing the rest, to the same bit.

image + new size + window -> that window of image.resize(size)

Pillow derives every weight from the frame that it is given, in single precision, so a part of it gives other weights
than the whole, unless its edges are numbers that single precision holds exactly: a crop from 768 x 574 by way of
342 x 256 to 224 x 224 can begin at every 57th column (128 of the picture's) and at any row. That saves a third of
the work. Whether rows or columns come first Pillow chooses by sizes, so each set of sizes is tried on noise once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.domain import Interpolation, Size
from app.images.geometry import Scaling, Window

RESAMPLING: dict[Interpolation, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}
MAX_TRIED_PIXELS = 2_000_000
"""A trial costs as much as preparing two pictures; above this size crops save an eighth at most."""
Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom in an image's pixels."""


@dataclass(frozen=True, slots=True)
class Span:
    """What a resize reads along one side of an image, in its pixels; need not be whole ones."""

    begin: Fraction
    length: Fraction


@dataclass(frozen=True, slots=True)
class Frame:
    """What a resize reads of an image."""

    across: Span
    down: Span


def cut(image: Image.Image, window: Window) -> Image.Image:
    """The window; black where it reaches outside."""
    return image.crop(
        (window.left, window.top, window.left + window.size.width, window.top + window.size.height)
    )


def resized(
    image: Image.Image, plan: Scaling, window: Window | None = None, frame: Frame | None = None
) -> Image.Image:
    """The frame of the image (None: all of it) in the plan's size; where a window follows, only that part of it."""
    part, box = _computed(image.size, plan, window, frame)
    done = image.resize((part.size.width, part.size.height), RESAMPLING[plan.interpolation], box)
    if window is None:
        return done
    return cut(done, Window(window.left - part.left, window.top - part.top, window.size))


@lru_cache(maxsize=512)  # a line's camera has one size
def _computed(
    size: tuple[int, int], plan: Scaling, window: Window | None, frame: Frame | None
) -> tuple[Window, Box]:
    """What to compute of the plan's outputs for an image of this (width, height), and what to read for it."""
    if frame is None:
        frame = Frame(*(Span(Fraction(0), Fraction(side)) for side in size))
    part = Window(0, 0, plan.size)
    if window is not None:
        part = _sufficient(size, plan, window, frame)
    return part, _box(frame, plan.size, part)


def _sufficient(size: tuple[int, int], plan: Scaling, window: Window, frame: Frame) -> Window:
    """The least that gives the pixels in the window as they are among all of them; all of them where nothing less does."""
    everything, (width, height) = Window(0, 0, plan.size), size
    # Nearest costs next to nothing, and beyond some size the trial would.
    if plan.interpolation == "nearest" or width * height > MAX_TRIED_PIXELS:
        return everything
    left, right = _outputs(
        frame.across, width, plan.size.width, window.left, window.size.width, plan.interpolation
    )
    top, bottom = _outputs(
        frame.down, height, plan.size.height, window.top, window.size.height, plan.interpolation
    )
    part = Window(left, top, Size(bottom - top, right - left))
    if part == everything:
        return everything
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    trial = Image.fromarray(noise)
    way = RESAMPLING[plan.interpolation]
    whole = trial.resize((plan.size.width, plan.size.height), way, _box(frame, plan.size, everything))
    alone = trial.resize((part.size.width, part.size.height), way, _box(frame, plan.size, part))
    return part if alone.tobytes() == cut(whole, part).tobytes() else everything


def _box(frame: Frame, size: Size, part: Window) -> Box:
    right, bottom = part.left + part.size.width, part.top + part.size.height
    return (
        float(_edge(frame.across, size.width, part.left)),
        float(_edge(frame.down, size.height, part.top)),
        float(_edge(frame.across, size.width, right)),
        float(_edge(frame.down, size.height, bottom)),
    )


def _outputs(
    span: Span, limit: int, count: int, first: int, kept: int, interpolation: Interpolation
) -> tuple[int, int]:
    """Along one side: which outputs around the `kept` ones from `first` on have the weights that they have among all.

    `limit` is the image's side, `count` the number of all outputs.
    """
    everything, last = (0, count), first + kept
    if first < 0 or last > count:
        return everything
    scale = span.length / count
    step = scale.denominator // (scale.denominator & -scale.denominator)  # its odd part
    begin, end = first // step * step, min(-(-last // step) * step, count)
    edges = _edge(span, count, begin), _edge(span, count, end)
    # Pillow subtracts the edges in single precision too.
    if not all(_is_single(number) for number in (*edges, edges[1] - edges[0], span.begin, span.length)):
        return everything
    # With a power of two below the fraction, double precision is exact all the way to the same weights.
    if step == 1 or _weights_are_clear(span, limit, count, begin, end, interpolation):
        return begin, end
    return everything


def _edge(span: Span, count: int, output: int) -> Fraction:
    return span.begin + output * span.length / count


def _is_single(number: Fraction) -> bool:
    return Fraction(float(np.float32(float(number)))) == number


# Pillow's kernels (Resample.c) that end in zero, by their reach: what a rounding error adds or takes there is nothing.
_KERNELS: dict[Interpolation, tuple[int, Callable[[Floats], Floats]]] = {
    "bilinear": (1, lambda x: 1 - x),
    "hamming": (1, lambda x: np.sinc(x) * (0.54 + 0.46 * np.cos(np.pi * x))),
    "bicubic": (
        2,
        lambda x: np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, ((2.5 - 0.5 * x) * x - 4) * x + 2),
    ),
    "lanczos": (3, lambda x: np.sinc(x) * np.sinc(x / 3)),
}
_WEIGHT_UNITS = 1 << 22
"""Pillow rounds each weight to this fraction of one (PRECISION_BITS)."""
_CLEAR_UNITS = 1e-4
"""A hundred times what double precision can move a weight by."""


def _weights_are_clear(
    span: Span, limit: int, count: int, begin: int, end: int, interpolation: Interpolation
) -> bool:
    """Whether no weight is so near to half a unit that the frame's other origin could round it the other way."""
    if interpolation not in _KERNELS:
        return False
    reach, kernel = _KERNELS[interpolation]
    scale = float(span.length / count)
    stretch = max(1.0, scale)
    centres = float(span.begin) + (np.arange(begin, end) + 0.5) * scale  # (n,)
    taps = np.floor(centres - reach * stretch)[:, None] + np.arange(int(2 * reach * stretch) + 3)  # (n, k)
    distances = np.abs(taps + 0.5 - centres[:, None]) / stretch
    inside = (distances < reach) & (taps >= 0) & (taps < limit)
    weights = np.where(inside, kernel(distances), 0.0)
    units = weights / weights.sum(axis=1, keepdims=True) * _WEIGHT_UNITS
    return bool((np.abs(np.abs(units) % 1 - 0.5) > _CLEAR_UNITS).all())
