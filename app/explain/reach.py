"""Where the cells of a grid lie once the outer ones end where they are drawn to end.

grid + where its cells lie + what the network saw -> reaches -> Reach across, Reach down

Centres stay where they are. Of an outer cell the outer half ends where `Affine.reach` says, in numbers as in
colours (app/images): longer than others where the grid ends short of what was seen, shorter where it ends beyond.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain import Affine

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in continuous pixel coordinates."""

_HAIR = 1e-6
"""A centre nearer than this to the end, in cells, counts as beyond it: no length is divided by nothing."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Along one side of a grid, in cells: 0.0 is where the first would end by itself."""

    cells: int
    begin: float
    end: float

    @property
    def is_bare(self) -> bool:
        """Whether the grid ends where its cells do; positions then stay as they are, to the last bit."""
        return (self.begin, self.end) == (0.0, float(self.cells))

    def laid(self, at: NDArray[np.float64], per_cell: int = 1) -> NDArray[np.float64]:
        """Where positions on the bare grid, 0.0 to `cells`, come to lie.

        Args:
            at: in cells, or in the samples of which there are so many to a cell; the answer likewise.
            per_cell: samples to a cell.
        """
        if self.is_bare:
            return at
        bare, moved = self._knots()
        return np.interp(at, bare * per_cell, moved * per_cell)

    def bare(self, at: NDArray[np.float64], per_cell: int = 1) -> NDArray[np.float64]:
        """The way back: what of the bare grid came to lie at these positions."""
        if self.is_bare:
            return at
        bare, moved = self._knots()
        return np.interp(at, moved * per_cell, bare * per_cell)

    def _knots(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The ends and every centre between them. What lies outside the outermost of these shares the rest."""
        centres = np.arange(self.cells) + 0.5
        seen = centres[(centres > self.begin + _HAIR) & (centres < self.end - _HAIR)]
        return np.r_[0.0, seen, float(self.cells)], np.r_[self.begin, seen, self.end]


def reaches(grid: tuple[int, ...], cell_to_frame: Affine, seen: Box | None) -> tuple[Reach, Reach]:
    """Of a grid (rows, cols), across and down.

    Args:
        grid: its shape.
        cell_to_frame: from grid coordinates to the frame's pixels.
        seen: what the network saw, in the frame's pixels; None where nobody knows, and cells end by themselves.
    """
    rows, columns = grid
    if seen is None:
        return Reach(columns, 0.0, float(columns)), Reach(rows, 0.0, float(rows))
    x0, y0, x1, y1 = cell_to_frame.reach(rows, columns, seen)
    return Reach(columns, x0, x1), Reach(rows, y0, y1)
