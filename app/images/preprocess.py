"""The manifest's geometry: a decoded picture becomes the 8-bit image that a network takes.

Picture -> steps, in order -> (h, w, 3) uint8, and the affine from its pixels back to the picture's

To the bit what Pillow and torchvision's transforms do on PIL images, because training did that: the longer
side of a resize is truncated, a centre crop rounds half to even and pads with black. Source: torchvision
0.29, transforms/functional.py (resize, center_crop). Knows nothing of what the network does with it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.domain import Affine, Anchor, Crop, CropBox, Resize, ResizeShorter, Size, Step
from app.errors import ImageTooLarge
from app.images.decode import Picture

MAX_SIDE = 16_384
"""A 10,000 x 1 strip whose shorter side becomes 256 would be 2.5 million pixels long."""

_HORIZONTAL: dict[Anchor, float] = {
    **dict.fromkeys(("top_left", "left", "bottom_left"), 0.0),
    **dict.fromkeys(("top_right", "right", "bottom_right"), 1.0),
    **dict.fromkeys(("center", "top", "bottom"), 0.5),
}
_VERTICAL: dict[Anchor, float] = {
    **dict.fromkeys(("top_left", "top", "top_right"), 0.0),
    **dict.fromkeys(("bottom_left", "bottom", "bottom_right"), 1.0),
    **dict.fromkeys(("center", "left", "right"), 0.5),
}


@dataclass(frozen=True, slots=True)
class Preprocessed:
    """What waits in the queue."""

    pixels: NDArray[np.uint8]
    """(h, w, 3), C-contiguous, of its own memory."""
    to_original: Affine
    """From these pixels to the picture's."""


def preprocess(picture: Picture, steps: tuple[Step, ...]) -> Preprocessed:
    """Apply the steps.

    Raises:
        ImageTooLarge: a picture so elongated that a step would make more than MAX_SIDE of it.
    """
    image = picture.image
    to_original = Affine()
    for step in steps:
        image, to_before = _apply(image, step)
        to_original = to_before.then(to_original)
    return Preprocessed(np.array(image, dtype=np.uint8, order="C"), to_original)


def output_size(steps: tuple[Step, ...]) -> Size | None:
    """What comes out whatever goes in; None where it depends on the picture."""
    size: Size | None = None
    for step in steps:
        match step:
            case Resize(size=fixed) | Crop(size=fixed):
                size = fixed
            case ResizeShorter() if size is not None:
                size = _shorter_size(size, step.shorter)
            case CropBox() if size is not None:
                left, top, right, bottom = _box(size, step)
                size = Size(bottom - top, right - left)
    return size


def _apply(image: Image.Image, step: Step) -> tuple[Image.Image, Affine]:
    """One step; the image after it, and the map from its pixels to those before."""
    before = Size(image.height, image.width)
    match step:
        case Resize(size=size, interpolation=interpolation):
            return _resize(image, size, interpolation)
        case ResizeShorter(shorter=shorter, interpolation=interpolation):
            return _resize(image, _shorter_size(before, shorter), interpolation)
        case Crop(size=size, anchor=anchor):
            left = _margin(before.width, size.width, _HORIZONTAL[anchor])
            top = _margin(before.height, size.height, _VERTICAL[anchor])
            # Outside the image, Pillow's crop gives black, as torchvision's padding does.
            box = (left, top, left + size.width, top + size.height)
            return image.crop(box), Affine(offset_x=left, offset_y=top)
        case CropBox():
            box = _box(before, step)
            return image.crop(box), Affine(offset_x=box[0], offset_y=box[1])


def _resize(image: Image.Image, size: Size, interpolation: str) -> tuple[Image.Image, Affine]:
    if max(size.height, size.width) > MAX_SIDE:
        raise ImageTooLarge(
            f"a picture of {image.width} x {image.height} pixels would become {size.width} x {size.height} on its "
            "way to the network; send one that is less elongated"
        )
    scale = Affine(scale_x=image.width / size.width, scale_y=image.height / size.height)
    if (image.width, image.height) == (size.width, size.height):
        return image, scale
    return image.resize((size.width, size.height), Image.Resampling[interpolation.upper()]), scale


def _shorter_size(size: Size, shorter: int) -> Size:
    """The longer side is truncated: int(shorter * long / short)."""
    if size.width <= size.height:
        return Size(int(shorter * size.height / size.width), shorter)
    return Size(shorter, int(shorter * size.width / size.height))


def _margin(before: int, after: int, share: float) -> int:
    """What is left of (or above) the window; negative where the image is smaller and is padded."""
    if share != 0.5:
        return int(share * (before - after))
    if after > before:
        return -((after - before) // 2)  # torchvision pads by floor on this side, by ceil on the other
    return round((before - after) / 2.0)  # half to even, as torchvision's int(round(...))


def _box(size: Size, box: CropBox) -> tuple[int, int, int, int]:
    """Whole pixels nearest to the fractions, at least one in each direction."""
    left, top = round(box.x0 * size.width), round(box.y0 * size.height)
    left, top = min(left, size.width - 1), min(top, size.height - 1)
    right = max(left + 1, round(box.x1 * size.width))
    bottom = max(top + 1, round(box.y1 * size.height))
    return left, top, right, bottom
