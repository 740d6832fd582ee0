"""What stands out on a map: connected regions on the original picture, and what each adds to the logit.

EvidenceMap + where its cells lie -> find_regions -> Regions

logit = bias + rest + sum of the regions' contributions, whatever the threshold. Knows no pictures: only their
size. Threshold and largest region as a box: Zhou et al. 2016, sec. 3.2 (20 % of the peak).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.domain import Affine, EvidenceMap, Size
from app.explain.components import connected_components
from app.explain.reach import Box, Reach, reaches
from app.explain.sampling import finite, refined

Status = Literal["ok", "no_positive_evidence", "even"]
"""even: every cell says the same, so no place stands out."""

DEFAULT_THRESHOLD = 0.2
DEFAULT_MAX_REGIONS = 5
MIN_SHARE = 0.02
"""A region with less of the positive evidence than this is not worth a box; it counts as rest."""
_EVEN = 1e-6
"""A map whose cells differ by less than this share of its peak differs by float32's rounding only."""


@dataclass(frozen=True, slots=True)
class Region:
    """One connected part of a map that stands out."""

    box: Box | None
    """On the picture, in its pixels, clipped to it and to what the network saw; None for a region that lies
    wholly outside, on the black with which a crop filled up a picture that was too small."""
    peak: tuple[float, float]
    """The centre of its strongest cell, x, y in the picture's pixels."""
    centre: tuple[float, float]
    """The mean position of its evidence, x, y in the picture's pixels."""
    area_fraction: float
    """Of the map, 0..1."""
    share: float
    """Of the positive evidence, 0..1."""
    contribution: float
    """What it adds to the logit (for a contrast: to the margin)."""


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions of one map: logit = bias + rest + sum of contributions."""

    regions: tuple[Region, ...]
    """The largest share first."""
    rest: float
    """What everything outside the regions adds to the logit; mostly negative or small."""
    status: Status
    labels: NDArray[np.uint8]
    """(samples, samples) over the extent of the grid: 0 is rest, 1 the first region, 2 the second, ..."""
    samples_per_cell: int
    """How much finer `labels` is than the grid."""

    def mask(self, number: int, size: Size, cell_to_frame: Affine) -> NDArray[np.bool_]:
        """Where the first (1), second (2), ... region lies in another frame, such as the network's input.

        Args:
            number: 1..len(regions).
            size: of the frame, in pixels; the network saw all of it.
            cell_to_frame: from grid coordinates to the frame's pixels.

        Returns:
            (size.height, size.width), False beyond the extent of the grid.
        """
        k = self.samples_per_cell
        grid = self.labels.shape[0] // k, self.labels.shape[1] // k
        across, down = reaches(grid, cell_to_frame, (0.0, 0.0, float(size.width), float(size.height)))
        rows = (np.arange(0.5, size.height) - cell_to_frame.offset_y) / cell_to_frame.scale_y * k
        columns = (np.arange(0.5, size.width) - cell_to_frame.offset_x) / cell_to_frame.scale_x * k
        inside = _is_on(down, rows, k)[:, None] & _is_on(across, columns, k)
        nearest = np.ix_(_samples(down, rows, k), _samples(across, columns, k))
        return np.asarray(inside & (self.labels[nearest] == number))


def find_regions(
    evidence: EvidenceMap,
    cell_to_picture: Affine,
    field_of_view: Box,
    picture: Size,
    *,
    threshold: float = DEFAULT_THRESHOLD,
    max_regions: int = DEFAULT_MAX_REGIONS,
) -> Regions:
    """The connected parts of a map that reach a share of its peak, upsampled as the overlay draws it.

    Args:
        evidence: of one class, or of one class against another.
        cell_to_picture: from grid coordinates to the picture's pixels.
        field_of_view: what the network saw, in the picture's pixels.
        picture: its size in pixels.
        threshold: share of the peak, above 0 and at most 1.
        max_regions: 1..255; the smaller ones count as rest.
    """
    cells = finite(evidence.values)
    rows, columns = cells.shape
    status = _status(cells)
    if status != "ok":
        return Regions(
            regions=(),
            rest=float(cells.mean()) if cells.size else 0.0,
            status=status,
            labels=np.zeros((rows, columns), np.uint8),
            samples_per_cell=1,
        )
    fine = refined(cells)
    k = fine.shape[0] // rows
    across, down = reaches(cells.shape, cell_to_picture, field_of_view)
    total = fine.sum(where=fine > 0)
    found = connected_components((fine > 0) & (fine >= threshold * fine.max()))
    sums = np.bincount(found.ravel(), weights=fine.ravel())
    sums[0] = 0.0  # what is in no region
    order = np.argsort(-sums, kind="stable")[:max_regions]
    labels = np.zeros(fine.shape, np.uint8)
    regions: list[Region] = []
    for label in order:
        if sums[label] < MIN_SHARE * total or sums[label] == 0.0:
            break
        mask = found == label
        labels[mask] = len(regions) + 1
        regions.append(
            Region(
                box=_clipped(
                    _mapped(_extent(mask, k, across, down), cell_to_picture), field_of_view, picture
                ),
                peak=_point(_peak(fine, mask, k), cell_to_picture),
                centre=_point(_centre(fine, mask, k, across, down), cell_to_picture),
                area_fraction=float(mask.mean()),
                share=min(float(sums[label] / total), 1.0),
                contribution=float(sums[label] / fine.size),
            )
        )
    return Regions(
        regions=tuple(regions),
        rest=float(fine.mean()) - sum(region.contribution for region in regions),
        status="ok",
        labels=labels,
        samples_per_cell=k,
    )


def _status(cells: NDArray[np.float64]) -> Status:
    """Whether some place has more positive evidence than another; a subnormal peak is rounding."""
    if not cells.size or cells.max() <= np.finfo(np.float32).tiny:
        return "no_positive_evidence"
    return "even" if cells.max() - cells.min() <= _EVEN * cells.max() else "ok"


def _extent(mask: NDArray[np.bool_], k: int, across: Reach, down: Reach) -> Box:
    """The box around the samples, in grid coordinates."""
    lines, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x0, x1 = across.laid(np.array([columns[0], columns[-1] + 1.0]), k) / k
    y0, y1 = down.laid(np.array([lines[0], lines[-1] + 1.0]), k) / k
    return (float(x0), float(y0), float(x1), float(y1))


def _peak(fine: NDArray[np.float64], mask: NDArray[np.bool_], k: int) -> tuple[float, float]:
    """The centre of the strongest cell: a bilinear map has its maxima there, and flat beyond the outer ones."""
    row, column = divmod(int(np.argmax(np.where(mask, fine, -np.inf))), fine.shape[1])
    return (column // k + 0.5, row // k + 0.5)


def _centre(
    fine: NDArray[np.float64], mask: NDArray[np.bool_], k: int, across: Reach, down: Reach
) -> tuple[float, float]:
    weight = np.where(mask, fine, 0.0)
    total = weight.sum()
    x = (weight.sum(axis=0) * _middles(across, k)).sum() / total / k
    y = (weight.sum(axis=1) * _middles(down, k)).sum() / total / k
    return (float(x), float(y))


def _is_on(side: Reach, at: NDArray[np.float64], k: int) -> NDArray[np.bool_]:
    return np.asarray((at >= side.begin * k) & (at < side.end * k))


def _samples(side: Reach, at: NDArray[np.float64], k: int) -> NDArray[np.intp]:
    """Which sample of a side lies at these positions, counted in samples; beyond its ends the outer ones."""
    return side.bare(at, k).clip(0, side.cells * k - 1).astype(np.intp)


def _middles(side: Reach, k: int) -> NDArray[np.float64]:
    """Of the samples along a side, counted in samples."""
    edges = side.laid(np.arange(side.cells * k + 1.0), k)
    return np.asarray((edges[1:] + edges[:-1]) / 2)


def _point(point: tuple[float, float], affine: Affine) -> tuple[float, float]:
    return (point[0] * affine.scale_x + affine.offset_x, point[1] * affine.scale_y + affine.offset_y)


def _mapped(box: Box, affine: Affine) -> Box:
    return (*_point(box[:2], affine), *_point(box[2:], affine))


def _clipped(box: Box, field_of_view: Box, picture: Size) -> Box | None:
    x0, y0 = max(box[0], field_of_view[0], 0.0), max(box[1], field_of_view[1], 0.0)
    x1 = min(box[2], field_of_view[2], float(picture.width))
    y1 = min(box[3], field_of_view[3], float(picture.height))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None
