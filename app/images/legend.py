"""The colours of a scale with their numbers, below a picture and never on it.

canvas + Scale + words -> a canvas that is higher by the legend; the picture's own pixels stay where they were
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from app.images.colormaps import Colormap
from app.images.heat import Scale
from app.images.paint import Shading, shading_of
from app.images.text import FAINT, INK, PAPER, Font, fitted, font_for, number, width_of, write

_UNDERLAY = 118
"""Grey under the bar's colours: they are as transparent there as on the photograph, whose middle is about so."""
_TWO_COLUMNS = 32
"""Ems: on a wider picture the title stands beside the bar, else above it."""


@dataclass(frozen=True, slots=True)
class Legend:
    """The words of a legend; the numbers come from the scale."""

    title: str = ""
    """For instance the class and its probability."""
    unit: str = "logits"


def with_legend(
    canvas: Image.Image, legend: Legend, scale: Scale, colormap: Colormap, *, opacity: float
) -> Image.Image:
    """The canvas with a strip of paper below it, that has the title and the colour bar."""
    font = font_for(*canvas.size)
    pad, bar_height = round(0.8 * font.em), bar_height_of(font)
    is_wide = canvas.width > _TWO_COLUMNS * font.em
    title_height = 0 if is_wide or not legend.title else font.line
    below = Image.new("RGB", (canvas.width, 2 * pad + title_height + bar_height), PAPER)
    left = round(0.5 * below.width) if is_wide and legend.title else pad
    title_width = (left if is_wide else below.width) - 2 * pad
    title_middle = below.height / 2 if is_wide else pad + font.line / 2
    write(below, (pad, title_middle), fitted(legend.title, font, title_width), font)
    shading = shading_of(scale, colormap, opacity=opacity)
    place = (left, pad + title_height, max(below.width - left - pad, 2))
    draw_bar(below, place, scale, shading, font, unit=legend.unit)
    whole = Image.new("RGB", (canvas.width, canvas.height + below.height), PAPER)
    whole.paste(canvas, (0, 0))
    whole.paste(below, (0, canvas.height))
    return whole


def bar_height_of(font: Font) -> int:
    """Pixels that the bar and its numbers take."""
    return round(0.7 * font.em) + round(1.6 * font.em)


def draw_bar(
    paper: Image.Image, place: tuple[int, int, int], scale: Scale, shading: Shading, font: Font, *, unit: str
) -> None:
    """The colour bar at (x, y, width), and under it its ends and its zero in `unit`.

    On an empty scale the bar is grey and says 0: nothing on the picture has a colour.
    """
    x, y, width = place
    height = round(0.7 * font.em)
    begin, end = (0.0, 0.0) if scale.is_empty else (-1.0 if scale.is_signed else 0.0, 1.0)
    along = np.linspace(begin, end, width, dtype=np.float32)
    rgba = shading.table[np.rint(shading.shades(along)).astype(np.uint8)].astype(np.float32)
    cover = rgba[:, 3:] / 255
    row = np.rint(rgba[:, :3] * cover + _UNDERLAY * (1 - cover)).astype(np.uint8)
    paper.paste(Image.fromarray(np.broadcast_to(row, (height, width, 3)).copy()), (x, y))

    middle = y + height + 0.85 * font.em
    for value, is_end in _ticks(scale):
        position = 0.0 if scale.is_empty else (value - scale.low) / (scale.high - scale.low)
        text = number(value)
        if is_end:
            # A number that is cut is another number: first the unit goes, then all of it.
            ends = (_end_of(scale, unit), _end_of(scale, ""))
            text = next((end for end in ends if width_of(end, font) <= width), "")
        half = width_of(text, font) / 2
        at = x + position * (width - 1)
        centre = min(max(at, x + half), x + width - half)
        if not is_end and _hits_end(centre, half, scale, font, unit, x, width):
            continue
        tick = round(0.18 * font.em) + 1
        ImageDraw.Draw(paper).line((round(at), y + height, round(at), y + height + tick), fill=FAINT)
        write(paper, (centre, middle), text, font, color=INK if is_end else FAINT, anchor="mm")


def _ticks(scale: Scale) -> list[tuple[float, bool]]:
    """Values to be named, the high end last and marked."""
    if scale.is_empty:
        return [(0.0, True)]
    ticks = [(scale.low, False)]
    if scale.low < 0.0 < scale.high:
        ticks.append((0.0, False))
    return [*ticks, (scale.high, True)]


def _end_of(scale: Scale, unit: str) -> str:
    """The words at the high end."""
    return f"{'≥ ' if scale.is_clipped else ''}{number(scale.high)} {unit}".rstrip()


def _hits_end(centre: float, half: float, scale: Scale, font: Font, unit: str, x: int, width: int) -> bool:
    """Whether a number would run into that of the high end."""
    end = width_of(_end_of(scale, unit), font)
    return centre + half + 0.5 * font.em > x + width - end
