"""Ink on the skin and the backdrop behind it, found by their colour and painted over.

picture (H, W, 3) uint8 -> ink_of, backdrop_of -> masks (H, W); mask + colour -> painted_over -> the picture without

Thresholds are read off the fifteen photographs of the first carcass line and off the demo's paintings: handwriting
and stamps are bluer than they are green, flesh and blood never are; the backdrop is that, dark, and wide. A line
with other colours has nothing found, and the audit says so. Knows no model.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from app.explain.fill import blended, surroundings

Mask = NDArray[np.bool_]
Picture = NDArray[np.uint8]

INK_BLUE_OVER_GREEN: Final = 14
"""Grey levels of 255. Faded stamps have 15, handwriting 40 to 100, skin and lean meat less than 5."""
INK_CHROMA: Final = 22
BRIGHT: Final = 150
"""Of the brightest channel: skin under the line's lamps; ink is looked for where most around it is so bright."""
DARK: Final = 110
"""Of the brightest channel: the backdrop stays below it, also where a lamp grazes it."""
BACKDROP_BLUE: Final = 8
WIDE_SHARE: Final = 0.6
"""Of the surroundings that must be backdrop too: dark blue strokes are not."""
LONGER_SIDE: Final = 768
"""Looked for on a copy so large: that of the photographs the thresholds come from."""


def stroke_of(mask: Mask) -> int:
    """The width of a stroke of ink in a picture of this size, 8 pixels of the photographs' 574."""
    return max(2, int(min(mask.shape)) // 72)


@dataclass(frozen=True, slots=True)
class Distractors:
    """Where they are in one picture; masks of the copy that was looked at."""

    image: Picture
    """(h, w, 3): the picture, its longer side at most 768."""
    ink: Mask
    backdrop: Mask

    @property
    def flesh(self) -> Mask:
        """Neither."""
        return ~self.ink & ~self.backdrop


def distractors_of(image: Image.Image) -> Distractors:
    """Ink and backdrop of an RGB picture."""
    scale = min(1.0, LONGER_SIDE / max(image.size))
    small = image
    if scale < 1.0:
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        small = image.resize(size, Image.Resampling.BOX)
    pixels = np.asarray(small)
    values = pixels.astype(np.int16)
    red, green, blue = values[..., 0], values[..., 1], values[..., 2]
    brightest, darkest = values.max(axis=2), values.min(axis=2)
    reach = max(2, min(pixels.shape[:2]) // 72)  # a stroke's width

    dark_blue = (blue > red + BACKDROP_BLUE) & (blue > green + BACKDROP_BLUE) & (brightest < DARK)
    wide = _share(dark_blue, reach) > WIDE_SHARE
    # Grown back to its edge: the share falls there although the pixels are backdrop.
    backdrop = wide | (_grown(wide, reach) & (blue > red) & (brightest < DARK))

    is_inky = (blue - green > INK_BLUE_OVER_GREEN) & (brightest - darkest > INK_CHROMA) & ~backdrop
    on_skin = _share(brightest > BRIGHT, reach + reach // 2) > 0.5
    return Distractors(pixels, is_inky & on_skin, backdrop)


def painted_over(
    image: Image.Image,
    mask: Mask,
    colour: tuple[float, float, float] | None = None,
    *,
    edge_is_soft: bool = True,
) -> Image.Image:
    """The picture without what is under the mask.

    Args:
        image: RGB, of the size the mask was found on or larger.
        mask: (h, w).
        colour: one for all; None: the mean of what lies around, so that nothing is left to see.
        edge_is_soft: the mask is grown by a stroke's blurred edge and fades out; else its pixels alone are painted.
    """
    height, width = mask.shape
    reach = max(1, min(mask.shape) // 144) if edge_is_soft else 0
    hidden = _grown(mask, reach)
    weight = Image.fromarray(hidden.astype(np.uint8) * 255).filter(ImageFilter.BoxBlur(reach))
    weight = weight.resize(image.size, Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    if colour is not None:
        paint = np.broadcast_to(np.array(colour, np.float32), pixels.shape)
    else:
        small = np.asarray(image.resize((width, height), Image.Resampling.BOX))
        around = Image.fromarray(surroundings(small, hidden).clip(0, 255).astype(np.uint8))
        paint = np.asarray(around.resize(image.size, Image.Resampling.BILINEAR), np.float32)
    return Image.fromarray(blended(pixels, paint, np.asarray(weight, np.float32) / np.float32(255)))


def random_blocks(allowed: Mask, count: int, block: int, random: np.random.Generator) -> Mask:
    """As many pixels somewhere else, in square blocks: what painting alone does.

    Args:
        allowed: (h, w), where they may lie; where it holds fewer than `count` pixels, all of it.
        count: pixels.
        block: pixels of a side.
        random: where they lie.
    """
    height, width = allowed.shape
    rows, columns = -(-height // block), -(-width // block)
    order = random.permutation(rows * columns).reshape(rows, columns)
    rank = np.repeat(np.repeat(order, block, axis=0), block, axis=1)[:height, :width]
    inside = np.sort(rank[allowed])
    if not count or not inside.size:
        return np.zeros_like(allowed)
    return np.asarray(allowed & (rank <= inside[min(count, inside.size) - 1]))


def _share(mask: Mask, reach: int) -> NDArray[np.float32]:
    """Of the pixels within `reach`, (h, w) 0..1."""
    image = Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.BoxBlur(reach))
    return np.asarray(image, np.float32) / np.float32(255)


def _grown(mask: Mask, reach: int) -> Mask:
    """Every pixel within `reach` of the mask, in a square."""
    for radius in ((reach, 0), (0, reach)):  # a tenth of the time of Pillow's MaxFilter
        image = Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.BoxBlur(radius))
        mask = np.asarray(np.asarray(image) > 0)
    return mask
