"""The feature maps of one layer on one sheet, ranked by what each contributes to a class.

channels (map + contribution) -> tiles -> one EncodedPicture
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.domain import EncodedPicture
from app.images.encode import encoded
from app.images.heat import Scale
from app.images.layout import ColorBar, Headings, Tile, arranged
from app.images.paint import size_filling
from app.images.sheets import Style
from app.images.text import signed_number

CHANNELS = Style(colormap="viridis", panel_width=144, unit="activation")


@dataclass(frozen=True, slots=True)
class Channel:
    """One feature map of a layer."""

    index: int
    values: NDArray[np.float32]
    """(rows, cols)."""
    contribution: float = 0.0
    """To the logit, in logit units; the sheet is ranked by it."""


def render_contact_sheet(
    channels: Sequence[Channel],
    *,
    aspect: float,
    columns: int = 8,
    title: str = "",
    style: Style = CHANNELS,
) -> EncodedPicture:
    """The feature maps of a layer as tiles, the largest contribution first, each cell as one block of colour.

    Args:
        channels: of one layer.
        aspect: width over height of what the network saw on the picture.
        columns: tiles in a row.
        title: for instance the layer and the class.
        style: `is_one_scale` false shows each channel between its own ends.

    Raises:
        ValueError: no channels, no columns.
    """
    ranked = sorted(channels, key=lambda channel: -channel.contribution)
    shared = style.scale_of([channel.values for channel in ranked])
    size = size_filling(style.panel_width, style.panel_height, aspect=(aspect, 1.0))
    tiles = []
    for channel in ranked:
        bar = _opaque_bar(shared if style.is_one_scale else style.scale_of([channel.values]), style)
        shades = np.rint(bar.shading.shades(bar.scale.levels(channel.values))).astype(np.uint8)
        image = Image.fromarray(bar.shading.table[..., :3][shades]).resize(size, Image.Resampling.NEAREST)
        own_bar = None if style.is_one_scale else bar
        tiles.append(Tile(image, f"#{channel.index}", signed_number(channel.contribution), own_bar))
    shared_bar = _opaque_bar(shared, style) if style.is_one_scale else None
    sheet = arranged(
        tiles, tile_width=style.panel_width, columns=columns, headings=Headings(title), bar=shared_bar
    )
    return encoded(sheet, style.media_type)


def _opaque_bar(scale: Scale, style: Style) -> ColorBar:
    """No picture lies below these maps."""
    bar = style.bar(scale)
    return replace(bar, shading=bar.shading.opaque())
