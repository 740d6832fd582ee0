"""Where a model looks over many pictures: per class the mean map, its centroid, the share inside a region.

(class, EvidenceMap, where its cells lie) one at a time -> Summary -> {class: ClassSummary}

Pictures of any size come together on one grid in fractions of the picture. A map counts by how its evidence is
shared out, not by how strong it is: one picture, one vote. Keeps sums, not maps, so a million pictures need no
more memory than one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain import Affine, EvidenceMap, RegionOfInterest, Size
from app.explain.place import covered, edges_on_picture, place_of, positive_evidence
from app.explain.reach import Box


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """What the maps of one class have in common."""

    count: int
    """Pictures."""
    without_evidence: int
    """Of these, pictures in which nothing spoke for the class; the rest of this leaves them out."""
    mean_map: NDArray[np.float64]
    """(rows, cols) over the whole picture: mean share of the positive evidence; adds up to 1, or less where
    evidence lay beyond the picture."""
    centroid: tuple[float, float] | None
    """Mean of the pictures' centroids, x, y as fractions of the picture."""
    centroid_spread: tuple[float, float] | None
    """Their standard deviation, likewise; None where fewer than two have one: of one picture none is known."""
    share_inside: float | None
    """Mean share inside the region of interest; None where none was given."""
    mostly_outside: int
    """Pictures with less than half of the evidence inside it."""


@dataclass(slots=True)
class _Sums:
    count: int
    without_evidence: int
    shares: NDArray[np.float64]
    centroid: NDArray[np.float64]
    centroid_squared: NDArray[np.float64]
    located: int
    inside: float
    mostly_outside: int


class Summary:
    """Adds up pictures.

    Args:
        expected: the manifest's region of interest.
        rows, columns: of the common grid.
    """

    def __init__(
        self, expected: RegionOfInterest | None = None, *, rows: int = 36, columns: int = 48
    ) -> None:
        self._expected = expected
        self._rows = rows
        self._columns = columns
        self._sums: dict[str, _Sums] = {}

    def add(
        self,
        class_name: str,
        evidence: EvidenceMap,
        cell_to_picture: Affine,
        picture: Size,
        *,
        field_of_view: Box | None = None,
    ) -> None:
        """One picture's map, under whatever name the caller groups by: the true class or the predicted one."""
        sums = self._sums.get(class_name) or self._sums.setdefault(class_name, self._nothing())
        place = place_of(evidence, cell_to_picture, picture, self._expected, field_of_view=field_of_view)
        samples = positive_evidence(evidence)
        sums.count += 1
        if samples is None or place.centroid is None:
            sums.without_evidence += 1
            return
        x_edges, y_edges = edges_on_picture(samples, evidence, cell_to_picture, picture, field_of_view)
        sums.shares += _spread(y_edges, self._rows) @ samples @ _spread(x_edges, self._columns).T
        sums.centroid += place.centroid
        sums.centroid_squared += np.square(place.centroid)
        if place.share_inside is not None:
            sums.located += 1
            sums.inside += place.share_inside
            sums.mostly_outside += place.share_inside < 0.5

    def classes(self) -> dict[str, ClassSummary]:
        """What has been added so far, by name."""
        return {name: _summary(self._sums[name]) for name in sorted(self._sums)}

    def _nothing(self) -> _Sums:
        return _Sums(0, 0, np.zeros((self._rows, self._columns)), np.zeros(2), np.zeros(2), 0, 0.0, 0)


def _spread(edges: NDArray[np.float64], cells: int) -> NDArray[np.float64]:
    """(cells, samples): the share of each sample that lies in each cell of 0..1, so that nothing is lost."""
    return np.stack([covered(edges, cell / cells, (cell + 1) / cells) for cell in range(cells)])


def _summary(sums: _Sums) -> ClassSummary:
    seen = sums.count - sums.without_evidence
    if not seen:
        return ClassSummary(sums.count, sums.without_evidence, sums.shares.copy(), None, None, None, 0)
    mean = sums.centroid / seen
    deviation = np.sqrt((sums.centroid_squared / seen - mean**2).clip(min=0.0))
    return ClassSummary(
        count=sums.count,
        without_evidence=sums.without_evidence,
        mean_map=sums.shares / seen,
        centroid=(float(mean[0]), float(mean[1])),
        centroid_spread=(float(deviation[0]), float(deviation[1])) if seen > 1 else None,
        share_inside=sums.inside / sums.located if sums.located else None,
        mostly_outside=sums.mostly_outside,
    )
