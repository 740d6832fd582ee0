"""What is drawn over an overlay when asked for: lines of equal evidence, and boxes with a label.

Light lines with a dark edge on either side: one of the two is seen on any photograph and on any colour map.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from app.domain import Affine
from app.images.heat import upsampled
from app.images.paint import Box, Extent, mapped
from app.images.text import Font, fitted, font_for, width_of, write

LIGHT = (255, 255, 255)
DARK = (18, 18, 22)
_EDGE_OPACITY = 0.6
_LABEL_OPACITY = 0.78


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the picture that a box is drawn around."""

    box: Box
    """In the picture's pixels."""
    label: str = ""


def draw_contours(
    canvas: Image.Image,
    levels: NDArray[np.float32],
    to_canvas: Affine,
    extent: Extent,
    thresholds: Sequence[float],
) -> None:
    """Lines along which the level is one of these, of the same width everywhere.

    How far a pixel is from the line is how far its level is from the threshold, over the steepness there.
    """
    if not extent or len(extent.columns) < 2 or len(extent.rows) < 2:
        return
    field = upsampled(levels, to_canvas, columns=extent.columns, rows=extent.rows)
    steepness = np.hypot(*np.gradient(field))
    half_width = max(canvas.size) / 1600 + 0.6  # so that a line between two pixels is white on both
    for threshold in thresholds:
        # Where nothing rises there is no line, even if the plateau is as high as the threshold.
        distance = np.full(field.shape, np.inf, np.float32)
        np.divide(np.abs(field - threshold), steepness, out=distance, where=steepness > 1e-6)
        for color, reach, opacity in ((DARK, 2 * half_width + 0.5, _EDGE_OPACITY), (LIGHT, half_width, 1.0)):
            cover = (reach + 0.5 - distance).clip(0.0, 1.0) * (255 * opacity)
            canvas.paste(color, extent.corner, Image.fromarray(cover.astype(np.uint8)))


def draw_regions(canvas: Image.Image, regions: Sequence[Region], to_canvas: Affine) -> None:
    """A box around each region; its label above it, or wherever it fits and hides no other label."""
    font = font_for(*canvas.size)
    thick = max(1, round(font.em / 9))
    boxes = [_within(mapped(region.box, to_canvas), canvas, 2 * thick) for region in regions]
    for box in boxes:
        _frame(canvas, box, thick)
    taken: list[tuple[int, int, int, int]] = []
    for region, box in zip(regions, boxes, strict=True):
        _label(canvas, box, region.label, font, thick, taken)


def _within(box: Box, canvas: Image.Image, least: int) -> tuple[int, int, int, int]:
    """The whole pixels of a box inside the canvas; never thinner than its own frame."""
    x0, x1 = _span(box[0], box[2], canvas.width, least)
    y0, y1 = _span(box[1], box[3], canvas.height, least)
    return x0, y0, x1, y1


def _span(begin: float, end: float, length: int, least: int) -> tuple[int, int]:
    first = min(max(round(begin), 0), max(length - least, 0))
    return first, min(max(round(end), first + least), length)


def _frame(canvas: Image.Image, box: tuple[int, int, int, int], thick: int) -> None:
    x0, y0, x1, y1 = box
    mask = Image.new("L", (x1 - x0 + 2 * thick, y1 - y0 + 2 * thick))
    ImageDraw.Draw(mask).rectangle(
        (0, 0, mask.width - 1, mask.height - 1), outline=round(255 * _EDGE_OPACITY), width=3 * thick
    )
    _paste(canvas, DARK, (x0 - thick, y0 - thick), mask)
    # The last pixel is inside the rectangle in Pillow.
    ImageDraw.Draw(canvas).rectangle((x0, y0, x1 - 1, y1 - 1), outline=LIGHT, width=thick)


def _label(
    canvas: Image.Image,
    box: tuple[int, int, int, int],
    label: str,
    font: Font,
    thick: int,
    taken: list[tuple[int, int, int, int]],
) -> None:
    x0, y0, x1, y1 = box
    pad = round(0.35 * font.em)
    text = fitted(label, font, canvas.width - 2 * pad)
    if not text:
        return
    width, height = width_of(text, font) + 2 * pad, font.line
    places = (
        (x0, y0 - height - thick),
        (x0, y1 + thick),
        (x0 + thick, y0 + thick),
        (x1 - width - thick, y1 - height - thick),
        (x1 + thick, y0),
        (x0 - width - thick, y0),
    )
    spots = [_tab(place, width, height, canvas) for place in places]
    fits = [spot for spot, place in zip(spots, places, strict=True) if spot[1] == place[1]] or spots
    spot = next((spot for spot in fits if not any(_overlap(spot, other) for other in taken)), fits[0])
    taken.append(spot)
    tab = Image.new("L", (width, height), round(255 * _LABEL_OPACITY))
    _paste(canvas, DARK, spot[:2], tab)
    write(canvas, (spot[0] + pad, spot[1] + height / 2), text, font, color=LIGHT)


def _tab(place: tuple[int, int], width: int, height: int, canvas: Image.Image) -> tuple[int, int, int, int]:
    """A label of this size, moved into the canvas."""
    left = min(max(place[0], 0), max(canvas.width - width, 0))
    top = min(max(place[1], 0), max(canvas.height - height, 0))
    return left, top, left + width, top + height


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _paste(canvas: Image.Image, color: tuple[int, int, int], at: tuple[int, int], mask: Image.Image) -> None:
    """A colour through a mask that may stand out over the canvas."""
    canvas.paste(color, (at[0], at[1], at[0] + mask.width, at[1] + mask.height), mask)
