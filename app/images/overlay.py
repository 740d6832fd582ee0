"""Draws a class activation map on the original picture.

Picture + map (rows, cols) in logit units + where its cells lie -> EncodedPicture

The picture shows through where there is no evidence: opacity follows the evidence. Only the part of the
picture that the network saw is touched; its outline is drawn where that is not all of it.
Knows nothing of networks: what the map means is the caller's.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.domain import Affine, EncodedPicture
from app.images.colormaps import Colormap
from app.images.decode import Picture
from app.images.encode import MediaType, encoded
from app.images.heat import Normalization, Scale, scale_of
from app.images.legend import Legend, with_legend
from app.images.marks import Region, draw_contours, draw_regions
from app.images.paint import Box, canvas_of, extent_of, mapped, outline, paint, shading_of

__all__ = ["Box", "Legend", "MediaType", "Region", "render_overlay"]


def render_overlay(
    picture: Picture,
    heat: NDArray[np.float32],
    cell_to_picture: Affine,
    field_of_view: Box,
    *,
    media_type: MediaType,
    colormap: Colormap = "inferno",
    normalization: Normalization = "max",
    full_scale: float | None = None,
    scale: Scale | None = None,
    opacity: float = 0.6,
    contours: Sequence[float] = (),
    regions: Sequence[Region] = (),
    legend: Legend | None = None,
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
        colormap: for max, minmax and none; signed has its own, with two sides.
        normalization: what the map's numbers are measured against.
        full_scale: for none, in logit units: the evidence that gets the strongest colour.
        scale: one that was found for several maps; then the two before it are not looked at.
        opacity: of the strongest evidence, 0..1; 0 gives the plain picture.
        contours: shares of the strongest evidence, 0..1, along which a line is drawn; -1..0 on a signed scale.
        regions: boxes with a label, in the picture's pixels.
        legend: the words of a strip with the colour bar; it is added below the picture, whose pixels keep
            their place. None: no strip.
        max_side: pixels; a larger picture is scaled down first. The legend comes on top of it.
    """
    canvas, to_canvas = canvas_of(picture.image, max_side)
    if scale is None:
        scale = scale_of([heat], normalization, full_scale=full_scale)
    if opacity > 0.0:
        seen = mapped(field_of_view, to_canvas)
        cell_to_canvas = cell_to_picture.then(to_canvas)
        extent = extent_of(heat.shape, cell_to_canvas, seen, canvas)
        levels = scale.levels(heat)
        paint(canvas, levels, cell_to_canvas, extent, shading_of(scale, colormap, opacity=opacity))
        if contours:
            draw_contours(canvas, levels, cell_to_canvas, extent, contours)
        outline(canvas, seen)
    if regions:
        draw_regions(canvas, regions, to_canvas)
    if legend is not None:
        canvas = with_legend(canvas, legend, scale, colormap, opacity=opacity)
    return encoded(canvas, media_type)
