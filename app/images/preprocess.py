"""The manifest's geometry, executed exactly as training did.

Picture -> crop and resize on 8-bit pixels -> (h, w, 3) uint8, and the affine back to the picture

Bit-identical to torchvision's transforms on PIL images. Scale, mean and std are the network's own and do not
happen here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.domain import Affine, Interpolation, Size, Step
from app.errors import ImageTooLarge
from app.images.decode import Picture
from app.images.geometry import Scaling, Window, backwards, output_size, planned

__all__ = ["MAX_INTERMEDIATE_PIXELS", "Preprocessed", "output_size", "preprocess"]

MAX_INTERMEDIATE_PIXELS = 32_000_000
"""Above this (128 MB in Pillow), and above the picture itself, a step is refused. A 256-pixel shorter side
gets there at 1 : 488, which is no photograph."""

_RESAMPLING: dict[Interpolation, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}


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
    image = picture.image
    to_original = Affine()
    for step in steps:
        size = Size(height=image.height, width=image.width)
        plan = planned(step, size)
        if _working_pixels(plan, size) > max(MAX_INTERMEDIATE_PIXELS, size.height * size.width):
            raise ImageTooLarge(
                f"preparing this {picture.width} x {picture.height} picture for the model would need an image of "
                f"{_working_pixels(plan, size):,} pixels; crop the picture to a less elongated shape"
            )
        if isinstance(plan, Window):
            right, bottom = plan.left + plan.size.width, plan.top + plan.size.height
            image = image.crop((plan.left, plan.top, right, bottom))
        else:
            image = image.resize((plan.size.width, plan.size.height), _RESAMPLING[plan.interpolation])
        to_original = backwards(plan, size).then(to_original)
    return Preprocessed(pixels=np.array(image, dtype=np.uint8), to_original=to_original)


def _working_pixels(plan: Scaling | Window, size: Size) -> int:
    """The most pixels (of four bytes) that Pillow holds at once while it does this."""
    result = plan.size.height * plan.size.width
    if isinstance(plan, Window) or plan.interpolation == "nearest":
        return result
    # Pillow resamples rows first, every one of them, and keeps up to six doubles for each pixel of a side.
    return max(result, plan.size.width * size.height, 12 * max(size.height, size.width))
