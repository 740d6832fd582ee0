"""Lays a scaled map over a picture that may be drawn on.

canvas + levels (rows, cols) + where their cells lie -> the same canvas, coloured

The picture shows through where there is no evidence: opacity follows the evidence. Only the part of the
picture that the network saw is touched.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.domain import Affine
from app.images.colormaps import Colormap, color_table
from app.images.heat import Scale, upsampled_shades

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in continuous pixel coordinates."""

_OUTLINE_OPACITY = 0.75


@dataclass(frozen=True, slots=True)
class Shading:
    """From a level to what is painted: shade = level * gain + zero, 0..255, looked up in a table."""

    gain: float
    zero: float
    table: NDArray[np.uint8]
    """(256, 4): red, green, blue, opacity."""

    def opaque(self) -> "Shading":
        """The same colours where no picture lies below."""
        table = self.table.copy()
        table[:, 3] = 255
        return replace(self, table=table)

    def shades(self, levels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of these levels, 0..255, not yet rounded."""
        return levels * np.float32(self.gain) + np.float32(self.zero)


def shading_of(scale: Scale, colormap: Colormap, *, opacity: float) -> Shading:
    """The colours of a scale; `opacity` is that of its ends, and of its high end alone if it is not signed."""
    gain, zero = (127.0, 128.0) if scale.is_signed else (255.0, 0.0)
    strength = (np.abs(np.arange(256) - zero) / gain).clip(max=1.0) * min(max(opacity, 0.0), 1.0)
    colors = color_table("diverging" if scale.is_signed else colormap)
    alpha = np.rint(strength * 255).astype(np.uint8)
    return Shading(gain, zero, np.concatenate([colors, alpha[:, None]], axis=1))


def canvas_of(image: Image.Image, max_side: int) -> tuple[Image.Image, Affine]:
    """A copy to draw on, no longer than `max_side`, and the map from the picture's pixels to its own."""
    longest = max(image.size)
    if longest <= max_side:
        return image.copy(), Affine()
    width, height = (max(1, round(side * max_side / longest)) for side in image.size)
    return _resized(image, width, height)


def canvas_filling(image: Image.Image, width: int, height: int) -> tuple[Image.Image, Affine]:
    """As `canvas_of`, but as large as goes into a box of this size, larger or smaller than the picture."""
    return _resized(image, *size_filling(width, height, aspect=(image.width, image.height)))


def size_filling(width: int, height: int, *, aspect: tuple[float, float]) -> tuple[int, int]:
    """The largest size in pixels with these proportions (across, down) in a box; no side is less than a pixel."""
    across, down = aspect
    if down * width <= height * across:
        return width, max(1, round(down * width / across))
    return max(1, round(across * height / down)), height


def _resized(image: Image.Image, width: int, height: int) -> tuple[Image.Image, Affine]:
    # reducing_gap averages whole blocks first: ten times faster on a camera's picture, no visible difference.
    small = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return small, Affine(scale_x=width / image.width, scale_y=height / image.height)


@dataclass(frozen=True, slots=True)
class Extent:
    """The pixels that a map covers."""

    columns: range
    rows: range

    @property
    def corner(self) -> tuple[int, int]:
        """Its first column and row."""
        return self.columns.start, self.rows.start

    def __bool__(self) -> bool:
        return bool(self.columns) and bool(self.rows)


def extent_of(grid: tuple[int, ...], to_canvas: Affine, field_of_view: Box, canvas: Image.Image) -> Extent:
    """Where a grid (rows, cols) is drawn: on the canvas, up to where `Affine.reach` says that its cells end."""
    rows, cols = grid
    x0, y0, x1, y1 = mapped(to_canvas.reach(rows, cols, field_of_view), to_canvas)
    return Extent(pixels(x0, x1, canvas.width), pixels(y0, y1, canvas.height))


def paint(
    canvas: Image.Image, levels: NDArray[np.float32], to_canvas: Affine, extent: Extent, shading: Shading
) -> None:
    """Blends the coloured map into the canvas, where its levels are not zero."""
    extent = _coloured(extent, levels, to_canvas)
    if not extent:
        return
    shades = upsampled_shades(shading.shades(levels), to_canvas, columns=extent.columns, rows=extent.rows)
    colored = Image.fromarray(shades)
    # Pillow's palette and masked paste blend in place in 8-bit integers; numpy takes several times as long.
    colored.putpalette(shading.table.tobytes(), "RGBA")
    rgba = colored.convert("RGBA")
    canvas.paste(rgba, extent.corner, rgba)


def outline(canvas: Image.Image, field_of_view: Box) -> None:
    """A light line with a dark one outside it, seen on any background; none along the picture's own border."""
    columns = pixels(field_of_view[0], field_of_view[2], canvas.width)
    lines = pixels(field_of_view[1], field_of_view[3], canvas.height)
    if not columns or not lines:
        return
    thick = max(1, round(max(canvas.size) / 800))
    for grey, outset in ((0, thick), (255, 0)):
        left, top = columns.start - outset, lines.start - outset
        right, bottom = columns.stop + outset, lines.stop + outset
        if columns.start > 0:
            _bar(canvas, (left, top, left + thick, bottom), grey)
        if columns.stop < canvas.width:
            _bar(canvas, (right - thick, top, right, bottom), grey)
        if lines.start > 0:
            _bar(canvas, (left, top, right, top + thick), grey)
        if lines.stop < canvas.height:
            _bar(canvas, (left, bottom - thick, right, bottom), grey)


def mapped(box: Box, affine: Affine) -> Box:
    """The box in the frame that the affine leads to."""
    return (
        box[0] * affine.scale_x + affine.offset_x,
        box[1] * affine.scale_y + affine.offset_y,
        box[2] * affine.scale_x + affine.offset_x,
        box[3] * affine.scale_y + affine.offset_y,
    )


def pixels(begin: float, end: float, length: int) -> range:
    """The pixels of 0..length whose centre lies in [begin, end); the sum of rounding errors is forgiven."""
    first = int(np.ceil(begin - 0.5 - 1e-6))
    last = int(np.ceil(end - 0.5 - 1e-6))
    return range(max(first, 0), min(last, length))


def _coloured(extent: Extent, levels: NDArray[np.float32], to_canvas: Affine) -> Extent:
    """The part of the extent that any level reaches: a cell's evidence ends at the centres of its neighbours."""
    is_used = levels != 0
    columns = _reached(
        np.logical_or.reduce(is_used, 0), extent.columns, to_canvas.scale_x, to_canvas.offset_x
    )
    rows = _reached(np.logical_or.reduce(is_used, 1), extent.rows, to_canvas.scale_y, to_canvas.offset_y)
    return Extent(columns, rows)


def _reached(is_used: NDArray[np.bool_], along: range, scale: float, offset: float) -> range:
    used: Sequence[int] = np.flatnonzero(is_used).tolist()
    if not used:
        return range(0)
    begin, end = along.start, along.stop
    if used[0] > 0:
        begin = max(begin, int((used[0] - 0.5) * scale + offset))
    if used[-1] < len(is_used) - 1:
        end = min(end, int(np.ceil((used[-1] + 1.5) * scale + offset)))
    return range(begin, end)


def _bar(canvas: Image.Image, box: tuple[int, int, int, int], grey: int) -> None:
    mask = Image.new("L", (box[2] - box[0], box[3] - box[1]), round(255 * _OUTLINE_OPACITY))
    canvas.paste((grey, grey, grey), box, mask)
