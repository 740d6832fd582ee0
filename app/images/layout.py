"""Arranges finished pictures on light paper: rows and columns, captions, colour bars.

tiles (pictures with their words) -> one picture

Every part is a block of paper of its own; blocks are stacked. Knows no maps: what a tile shows, and on which
scale, was settled before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from app.images.heat import Scale
from app.images.legend import bar_height_of, draw_bar
from app.images.paint import Shading
from app.images.text import FAINT, INK, PAPER, Font, fitted, font_of, in_two_lines, width_of, write

_BAR_EMS = 22
"""Width of a bar that several tiles share."""


@dataclass(frozen=True, slots=True)
class ColorBar:
    """A scale, and how it is coloured."""

    scale: Scale
    shading: Shading
    unit: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture on a sheet."""

    image: Image.Image
    caption: str = ""
    """On two lines where one is not enough."""
    note: str = ""
    """Fainter: beside the caption where there is room for both, else below it."""
    bar: ColorBar | None = None
    """Its own colour bar, below it."""


@dataclass(frozen=True, slots=True)
class Headings:
    """Words around the tiles; any may be empty."""

    title: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[str] = ()
    """Above each row of tiles."""


def arranged(
    tiles: Sequence[Tile], *, tile_width: int, columns: int, headings: Headings, bar: ColorBar | None = None
) -> Image.Image:
    """All tiles, row by row, on one sheet.

    Args:
        tiles: none wider than `tile_width`; the words of a narrower one take all of it.
        tile_width: pixels.
        columns: tiles in a row.
        headings: words around the tiles.
        bar: for all of them, at the sheet's foot.

    Raises:
        ValueError: no tiles, or no columns.
    """
    if not tiles or columns < 1:
        raise ValueError("a sheet needs at least one tile and one column")
    columns = min(columns, len(tiles))
    font = font_of(round(tile_width / 20))
    gap = round(1.1 * font.em)
    width = columns * tile_width + (columns - 1) * gap
    blocks: list[Image.Image] = []
    if headings.title:
        blocks += [
            _line(headings.title, font_of(round(1.3 * font.em)), width),
            _space(width, round(0.4 * font.em)),
        ]
    if any(headings.columns):
        names = [_line(name, font, tile_width) for name in headings.columns[:columns]]
        blocks.append(_beside(names, tile_width, gap))
    for number, start in enumerate(range(0, len(tiles), columns)):
        if number < len(headings.rows) and headings.rows[number]:
            blocks.append(_line(headings.rows[number], font, width, color=FAINT))
            blocks.append(_space(width, round(0.2 * font.em)))
        row = [_block(tile, tile_width, font) for tile in tiles[start : start + columns]]
        blocks += [_beside(row, tile_width, gap), _space(width, gap)]
    if bar is not None:
        blocks.append(_bar(bar, min(_BAR_EMS * font.em, width), font))
    else:
        blocks.pop()  # the space below the last row; the margin is enough
    return _framed(_stacked(blocks), margin=round(1.5 * font.em))


def _block(tile: Tile, width: int, font: Font) -> Image.Image:
    """The tile's picture and all its words, in a column of this width."""
    blocks = [tile.image]
    lines, note = in_two_lines(tile.caption, font, width), fitted(tile.note, font, width)
    words = [_line(line, font, width) for line in lines]
    is_beside = bool(lines) and width_of(lines[-1], font) + font.em + width_of(note, font) <= width
    if note and is_beside:
        write(words[-1], (width, font.line / 2), note, font, color=FAINT, anchor="rm")
    elif note:
        words.append(_line(note, font, width, color=FAINT))
    if words:
        blocks += [_space(width, round(0.25 * font.em)), *words]
    if tile.bar is not None:
        blocks += [_space(width, round(0.3 * font.em)), _bar(tile.bar, width, font)]
    return _stacked(blocks)


def _bar(bar: ColorBar, width: int, font: Font) -> Image.Image:
    block = _space(width, bar_height_of(font))
    draw_bar(block, (0, 0, width), bar.scale, bar.shading, font, unit=bar.unit)
    return block


def _line(text: str, font: Font, width: int, *, color: tuple[int, int, int] = INK) -> Image.Image:
    block = _space(width, font.line)
    write(block, (0, font.line / 2), fitted(text, font, width), font, color=color)
    return block


def _space(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), PAPER)


def _stacked(blocks: Sequence[Image.Image]) -> Image.Image:
    whole = _space(max(block.width for block in blocks), sum(block.height for block in blocks))
    y = 0
    for block in blocks:
        whole.paste(block, (0, y))
        y += block.height
    return whole


def _beside(blocks: Sequence[Image.Image], width: int, gap: int) -> Image.Image:
    """Side by side, aligned at the top, in columns of this width."""
    step = width + gap
    whole = _space(step * len(blocks) - gap, max(block.height for block in blocks))
    for number, block in enumerate(blocks):
        whole.paste(block, (number * step, 0))
    return whole


def _framed(image: Image.Image, *, margin: int) -> Image.Image:
    framed = _space(image.width + 2 * margin, image.height + 2 * margin)
    framed.paste(image, (margin, margin))
    return framed
