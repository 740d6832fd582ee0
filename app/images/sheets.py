"""Several maps in one picture, to be compared: layers, classes, models.

panels (picture + map + words) -> scaled, on one scale or each on its own -> tiles -> one EncodedPicture

`render_strip`: one picture under the maps of several layers. `render_class_sheet`: one map per class, on one
scale. `render_comparison`: pictures by models.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.domain import Affine, EncodedPicture
from app.images.colormaps import Colormap
from app.images.decode import Picture
from app.images.encode import MediaType, encoded
from app.images.heat import Normalization, Scale, clipped_scale_of, scale_of
from app.images.layout import ColorBar, Headings, Tile, arranged
from app.images.marks import Region, draw_contours, draw_regions
from app.images.paint import Box, canvas_filling, extent_of, mapped, outline, paint, shading_of


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A map and where it lies."""

    values: NDArray[np.float32]
    """(rows, cols), logit units, signed."""
    cell_to_picture: Affine
    field_of_view: Box


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture on a sheet, with the map on it; without one, the plain picture."""

    picture: Picture
    heat: HeatMap | None = None
    caption: str = ""
    note: str = ""
    regions: Sequence[Region] = ()


@dataclass(frozen=True, slots=True)
class Style:
    """How every map of a sheet is drawn."""

    normalization: Normalization = "max"
    full_scale: float | None = None
    """For none: logit units."""
    clipped_share: float = 0.0
    """For max and a scale for each map: the share of cells that may lie above its end."""
    is_one_scale: bool = True
    """One scale and one bar for the whole sheet, so that panels can be compared; else each has its own."""
    colormap: Colormap = "inferno"
    opacity: float = 0.6
    contours: Sequence[float] = ()
    unit: str = "logits"
    panel_width: int = 384
    """Pixels."""
    media_type: MediaType = "image/jpeg"

    @property
    def panel_height(self) -> int:
        """Pixels, at most: a telephone's upright picture fits, and one of 1 x 65,000 pixels costs no more."""
        return 2 * self.panel_width

    def scale_of(self, maps: Sequence[NDArray[np.float32]]) -> Scale:
        """One scale for these."""
        if self.clipped_share and self.normalization == "max" and len(maps) == 1:
            return clipped_scale_of(maps[0], self.clipped_share)
        return scale_of(maps, self.normalization, full_scale=self.full_scale)

    def bar(self, scale: Scale) -> ColorBar:
        """The colours of a scale, as they are drawn."""
        return ColorBar(scale, shading_of(scale, self.colormap, opacity=self.opacity), self.unit)


PER_LAYER = Style(is_one_scale=False, clipped_share=0.01, unit="")
"""Each layer has a unit of its own, and their sizes differ by far: on one scale some would stay blank."""


def render_panels(
    panels: Sequence[Panel], *, columns: int, headings: Headings | None = None, style: Style | None = None
) -> EncodedPicture:
    """Any panels, row by row.

    Raises:
        ValueError: no panels, no columns, or a normalization and a full scale that do not go together.
    """
    style = style or Style()
    shared = style.scale_of([panel.heat.values for panel in panels if panel.heat is not None])
    has_maps = any(panel.heat is not None for panel in panels)
    return encoded(
        arranged(
            [_tile(panel, shared, style) for panel in panels],
            tile_width=style.panel_width,
            columns=columns,
            headings=headings or Headings(),
            bar=style.bar(shared) if style.is_one_scale and has_maps else None,
        ),
        style.media_type,
    )


def render_strip(
    picture: Picture, layers: Sequence[tuple[str, HeatMap]], *, title: str = "", style: Style = PER_LAYER
) -> EncodedPicture:
    """One picture under the maps of several layers, side by side, each with its name below it."""
    panels = [Panel(picture, heat, caption=name) for name, heat in layers]
    return render_panels(panels, columns=len(panels), headings=Headings(title), style=style)


def render_class_sheet(
    picture: Picture,
    classes: Sequence[tuple[str, str, HeatMap]],
    *,
    columns: int = 3,
    title: str = "",
    style: Style | None = None,
) -> EncodedPicture:
    """One map per class, on one scale: (label, note such as the probability, map) each."""
    style = replace(style or Style(), is_one_scale=True)
    panels = [Panel(picture, heat, caption=label, note=note) for label, note, heat in classes]
    return render_panels(panels, columns=columns, headings=Headings(title), style=style)


def render_comparison(
    rows: Sequence[tuple[str, Sequence[Panel]]],
    *,
    models: Sequence[str],
    title: str = "",
    style: Style = PER_LAYER,
) -> EncodedPicture:
    """Pictures by models: a row (its heading, one panel per model) for each picture.

    Each map on its own scale unless the style says otherwise: logits of two models are not one unit.

    Raises:
        ValueError: a row that has not one panel per model.
    """
    if any(len(panels) != len(models) for _, panels in rows):
        raise ValueError(f"every row needs {len(models)} panels, one per model")
    return render_panels(
        [panel for _, panels in rows for panel in panels],
        columns=len(models),
        headings=Headings(title, columns=models, rows=[heading for heading, _ in rows]),
        style=style,
    )


def _tile(panel: Panel, shared: Scale, style: Style) -> Tile:
    canvas, to_canvas = canvas_filling(panel.picture.image, style.panel_width, style.panel_height)
    bar = None
    if panel.heat is not None:
        values = panel.heat.values
        scale = shared if style.is_one_scale else style.scale_of([values])
        seen = mapped(panel.heat.field_of_view, to_canvas)
        to_canvas_cells = panel.heat.cell_to_picture.then(to_canvas)
        extent = extent_of(values.shape, to_canvas_cells, seen, canvas)
        levels = scale.levels(values)
        paint(canvas, levels, to_canvas_cells, extent, style.bar(scale).shading)
        draw_contours(canvas, levels, to_canvas_cells, extent, style.contours)
        outline(canvas, seen)
        bar = None if style.is_one_scale else style.bar(scale)
    draw_regions(canvas, panel.regions, to_canvas)
    return Tile(canvas, panel.caption, panel.note, bar)
