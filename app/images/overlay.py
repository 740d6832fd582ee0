"""Draws a class activation map on the original picture.

Picture + map (rows, cols) in logit units + where its cells lie -> EncodedPicture

The picture shows through where there is no evidence: opacity follows the evidence. Only the part of the
picture that the network saw is touched; its outline is drawn where that is not all of it.
Knows nothing of networks: what the map means is the caller's.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.domain import Affine, EncodedPicture
from app.images.colormaps import Colormap, color_table
from app.images.decode import Picture
from app.images.heat import Normalization, normalized, upsampled

MediaType = Literal["image/jpeg", "image/png", "image/webp"]
Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in continuous pixel coordinates."""

_OUTLINE_OPACITY = 0.75


def render_overlay(
    picture: Picture,
    heat: NDArray[np.float32],
    cell_to_picture: Affine,
    field_of_view: Box,
    *,
    media_type: MediaType,
    colormap: Colormap = "inferno",
    normalization: Normalization = "max",
    opacity: float = 0.6,
    max_side: int,
) -> EncodedPicture:
    """The picture with the map on it, encoded.

    Args:
        picture: the original; it is not changed.
        heat: (rows, cols) in logit units, signed; NaN and infinities count as no evidence.
        cell_to_picture: from grid coordinates (the first cell's outer edge is 0.0, its centre 0.5) to
            the picture's pixels.
        field_of_view: what the network saw, in the picture's pixels.
        media_type: what to encode to.
        colormap: for max and minmax; signed has its own, with two sides.
        normalization: what the map's numbers are measured against.
        opacity: of the strongest evidence, 0..1; 0 gives the plain picture.
        max_side: pixels; a larger picture is scaled down first.
    """
    canvas, to_canvas = _canvas(picture.image, max_side)
    if opacity > 0.0:
        box = _mapped(field_of_view, to_canvas)
        levels = normalized(heat, normalization)
        shading = _shading(colormap, normalization, opacity=min(opacity, 1.0))
        _paint(canvas, levels, cell_to_picture.then(to_canvas), box, shading)
        _outline(canvas, box)
    return EncodedPicture(
        media_type=media_type, width=canvas.width, height=canvas.height, data=_encoded(canvas, media_type)
    )


@dataclass(frozen=True, slots=True)
class _Shading:
    """From a level to what is painted: shade = level * scale + zero, 0..255, looked up in two tables."""

    scale: float
    zero: float
    colors: NDArray[np.uint8]
    """(256, 3) RGB."""
    opacities: NDArray[np.uint8]
    """(256,)."""


def _shading(colormap: Colormap, normalization: Normalization, *, opacity: float) -> _Shading:
    is_signed = normalization == "signed"
    scale, zero = (127.0, 128.0) if is_signed else (255.0, 0.0)
    strength = (np.abs(np.arange(256) - zero) / scale).clip(max=1.0)
    return _Shading(
        scale=scale,
        zero=zero,
        colors=color_table("diverging" if is_signed else colormap),
        opacities=np.rint(strength * opacity * 255).astype(np.uint8),
    )


def _paint(
    canvas: Image.Image,
    levels: NDArray[np.float32],
    to_canvas: Affine,
    field_of_view: Box,
    shading: _Shading,
) -> None:
    """Blends the coloured map into the canvas, inside the map's extent and the field of view only."""
    rows, cols = levels.shape
    x0, y0, x1, y1 = _mapped((0.0, 0.0, float(cols), float(rows)), to_canvas)
    columns = _pixels(max(x0, field_of_view[0]), min(x1, field_of_view[2]), canvas.width)
    lines = _pixels(max(y0, field_of_view[1]), min(y1, field_of_view[3]), canvas.height)
    if not columns or not lines or not levels.any():
        return
    field = upsampled(levels, to_canvas, columns=columns, rows=lines)
    shades = (field * shading.scale + (shading.zero + 0.5)).astype(np.uint8)
    # Pillow's palette and masked paste blend in place in 8-bit integers; numpy takes several times as long.
    colored = Image.fromarray(shades)
    colored.putpalette(shading.colors.tobytes())
    mask = Image.fromarray(shading.opacities[shades])
    canvas.paste(colored.convert("RGB"), (columns.start, lines.start), mask)


def _outline(canvas: Image.Image, field_of_view: Box) -> None:
    """A light line with a dark one outside it, seen on any background; none along the picture's own border."""
    columns = _pixels(field_of_view[0], field_of_view[2], canvas.width)
    lines = _pixels(field_of_view[1], field_of_view[3], canvas.height)
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


def _bar(canvas: Image.Image, box: tuple[int, int, int, int], grey: int) -> None:
    mask = Image.new("L", (box[2] - box[0], box[3] - box[1]), round(255 * _OUTLINE_OPACITY))
    canvas.paste((grey, grey, grey), box, mask)


def _canvas(image: Image.Image, max_side: int) -> tuple[Image.Image, Affine]:
    """A copy to draw on, no longer than `max_side`, and the map from the picture's pixels to its own."""
    longest = max(image.size)
    if longest <= max_side:
        return image.copy(), Affine()
    width, height = (max(1, round(side * max_side / longest)) for side in image.size)
    # reducing_gap averages whole blocks first: ten times faster on a camera's picture, no visible difference.
    small = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return small, Affine(scale_x=width / image.width, scale_y=height / image.height)


def _mapped(box: Box, affine: Affine) -> Box:
    return (
        box[0] * affine.scale_x + affine.offset_x,
        box[1] * affine.scale_y + affine.offset_y,
        box[2] * affine.scale_x + affine.offset_x,
        box[3] * affine.scale_y + affine.offset_y,
    )


def _pixels(begin: float, end: float, length: int) -> range:
    """The pixels of 0..length whose centre lies in [begin, end); the sum of rounding errors is forgiven."""
    first = int(np.ceil(begin - 0.5 - 1e-6))
    last = int(np.ceil(end - 0.5 - 1e-6))
    return range(max(first, 0), min(last, length))


def _encoded(image: Image.Image, media_type: MediaType) -> bytes:
    buffer = BytesIO()
    if media_type == "image/jpeg":
        image.save(buffer, "JPEG", quality=85)
    elif media_type == "image/webp":
        image.save(buffer, "WEBP", quality=85, method=2)  # 4, the default, takes twice the time for 3 % less
    else:
        image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
