"""Where a model looks, as plain numbers: for logs, metrics and reports.

EvidenceMap + where its cells lie -> place_of -> Place

A drift of these over days is an early alarm: the camera moved, or the model found another clue.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain import Affine, EvidenceMap, RegionOfInterest, Size
from app.explain.reach import Box, reaches
from app.explain.sampling import finite, refined


@dataclass(frozen=True, slots=True)
class Place:
    """Where the positive evidence of one map lies."""

    centroid: tuple[float, float] | None
    """Its mean position, x, y as fractions of the picture's width and height; None where there is none.
    Outside 0..1 only where a crop reached beyond the picture."""
    positive_fraction: float
    """Share of cells that speak for the class."""
    share_inside: float | None
    """Share of it inside the region of interest, 0..1; None where none is named or there is no evidence."""


def place_of(
    evidence: EvidenceMap,
    cell_to_picture: Affine,
    picture: Size,
    expected: RegionOfInterest | None = None,
    *,
    field_of_view: Box | None = None,
) -> Place:
    """Where the positive evidence lies.

    Args:
        evidence: of one class, or of one class against another.
        cell_to_picture: from grid coordinates to the picture's pixels.
        picture: its size in pixels.
        expected: the manifest's region of interest.
        field_of_view: what the network saw, in the picture's pixels: outer cells end where they are drawn to end.
            None: they end by themselves.
    """
    positive = positive_evidence(evidence)
    if positive is None:
        return Place(centroid=None, positive_fraction=evidence.positive_fraction, share_inside=None)
    x_edges, y_edges = edges_on_picture(positive, evidence, cell_to_picture, picture, field_of_view)
    by_column, by_row = positive.sum(axis=0), positive.sum(axis=1)
    share = None
    if expected is not None:
        across = covered(x_edges, expected.x0, expected.x1)
        down = covered(y_edges, expected.y0, expected.y1)
        share = min(float((positive * across * down[:, None]).sum()), 1.0)
    return Place(
        centroid=(
            float((by_column * (x_edges[1:] + x_edges[:-1])).sum() / 2),
            float((by_row * (y_edges[1:] + y_edges[:-1])).sum() / 2),
        ),
        positive_fraction=evidence.positive_fraction,
        share_inside=share,
    )


def positive_evidence(evidence: EvidenceMap) -> NDArray[np.float64] | None:
    """The share of the positive evidence in every sample of the refined map; they add up to 1.

    Returns:
        (samples, samples) over the extent of the grid; None where nothing speaks for the class.
    """
    if not evidence.values.size:
        return None
    positive = refined(finite(evidence.values)).clip(min=0.0)
    total = positive.sum()
    return None if total <= np.finfo(np.float32).tiny else np.asarray(positive / total)


def edges_on_picture(
    samples: NDArray[np.float64],
    evidence: EvidenceMap,
    cell_to_picture: Affine,
    picture: Size,
    field_of_view: Box | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the samples' edges lie, as fractions of the picture: across (columns + 1,), down (rows + 1,)."""
    (high, wide), (rows, columns) = samples.shape, evidence.values.shape
    a = cell_to_picture
    across, down = reaches((rows, columns), a, field_of_view)
    return (
        (across.laid(np.linspace(0.0, columns, wide + 1)) * a.scale_x + a.offset_x) / picture.width,
        (down.laid(np.linspace(0.0, rows, high + 1)) * a.scale_y + a.offset_y) / picture.height,
    )


def covered(edges: NDArray[np.float64], begin: float, end: float) -> NDArray[np.float64]:
    """How much of each interval between neighbouring edges lies inside, 0..1: a box need not end on a sample."""
    overlap = np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin)
    return np.asarray((overlap / np.diff(edges)).clip(0.0, 1.0))
