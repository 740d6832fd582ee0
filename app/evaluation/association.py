"""Whether two columns of labels go together: which class, and which day, camera or name.

labels (N,), labels (N,) -> Table of counts -> cramers_v, chance_of -> how much, and how likely by accident
labels (N,), values (N,) -> share_above, chance_of_order -> the same of what has an order: dates, sizes
several chances -> holm -> the same, corrected for how many they are

NumPy only; knows no pictures. tests/evaluation compares with SciPy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.evaluation.metrics import Counts, Floats, Indices

Booleans = NDArray[np.bool_]

ROUNDS: Final = 2000
SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Contingency:
    """How many pictures have which pair of labels."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: Counts
    """(rows, columns)."""

    @property
    def count(self) -> int:
        """Pictures."""
        return int(self.counts.sum())


def contingency(rows: Sequence[str], columns: Sequence[str], *, order: Sequence[str] = ()) -> Contingency:
    """Counts pairs; both (N,). Rows stand in `order` where it names them, the rest and the columns sorted."""
    row_names = tuple(dict.fromkeys([*(name for name in order if name in set(rows)), *sorted(set(rows))]))
    column_names = tuple(sorted(set(columns)))
    row_of = {name: index for index, name in enumerate(row_names)}
    column_of = {name: index for index, name in enumerate(column_names)}
    counts = np.zeros((len(row_names), len(column_names)), np.int64)
    for row, column in zip(rows, columns, strict=True):
        counts[row_of[row], column_of[column]] += 1
    return Contingency(row_names, column_names, counts)


def chi_squared(counts: Counts) -> float:
    """Pearson's statistic, without correction; lines without pictures are passed over."""
    shown = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    if not shown.size:
        return 0.0
    expected = np.outer(shown.sum(axis=1), shown.sum(axis=0)) / shown.sum()
    return float(((shown - expected) ** 2 / expected).sum())


def cramers_v(counts: Counts) -> float:
    """How strongly rows and columns go together: 0 not at all, 1 one tells the other.

    Corrected for the bias by which small tables look associated: of 15 pictures from 10 days the plain V is large by
    accident alone.

    Returns:
        0.0 where there is only one row or one column.

    Source: Bergsma 2013, "A bias-correction for Cramer's V and Tschuprow's T", eq. 3 and 4.
    """
    count = int(counts.sum())
    rows, columns = int((counts.sum(axis=1) > 0).sum()), int((counts.sum(axis=0) > 0).sum())
    if min(rows, columns) < 2 or count < 2:
        return 0.0
    phi2 = max(0.0, chi_squared(counts) / count - (rows - 1) * (columns - 1) / (count - 1))
    least = min(side - (side - 1) ** 2 / (count - 1) for side in (rows, columns)) - 1
    return min(1.0, float(np.sqrt(phi2 / least))) if least > 0 else 0.0


def chance_of(counts: Counts, *, rounds: int = ROUNDS, seed: int = SEED) -> float:
    """How often shuffled labels go together at least so strongly, 0..1.

    Honest also for cells of no picture, where the chi-squared distribution is not. Never 0: the table itself counts
    as one of the shuffles (Phipson and Smyth 2010).
    """
    row_count, column_count = counts.shape
    flat = np.repeat(np.arange(counts.size), counts.reshape(-1))
    rows: Indices = flat // max(column_count, 1)
    columns: Indices = flat % max(column_count, 1)
    weights = np.bincount(rows, minlength=row_count), np.bincount(columns, minlength=column_count)

    def statistic(of: Indices) -> float:
        """Pearson's, of pictures whose rows are these."""
        cells = of * column_count + columns
        if counts.size <= len(flat):
            return chi_squared(np.bincount(cells, minlength=counts.size).reshape(counts.shape))
        # Most of a hundred classes by thousands of sizes is empty: only the cells that are not.
        filled, inside = np.unique(cells, return_counts=True)
        expected = weights[0][filled // column_count] * weights[1][filled % column_count]
        return float(len(flat) * ((inside**2 / expected).sum() - 1))

    observed = statistic(rows)
    random = np.random.default_rng(seed)
    as_strong = 1
    for _ in range(rounds):
        as_strong += statistic(random.permutation(rows)) >= observed - 1e-9 * max(observed, 1.0)
    return as_strong / (rounds + 1)


def ranks(values: Floats) -> Floats:
    """(N,): 1 for the least; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], np.float64)


def share_above(values: Floats, is_inside: Booleans) -> float:
    """Of all pairs of one inside and one outside, those whose inside value is the larger; equal ones count half: the AUC.

    Source: Hanley and McNeil 1982, "The meaning and use of the area under a receiver operating characteristic curve".
    """
    inside, outside = int(is_inside.sum()), int((~is_inside).sum())
    return float((ranks(values)[is_inside].sum() - inside * (inside + 1) / 2) / (inside * outside))


def chance_of_order(values: Floats, labels: Indices, *, rounds: int = ROUNDS, seed: int = SEED) -> float:
    """How often shuffled labels stand as much in order, 0..1; where all values are distinct, no table can tell it.

    Args:
        values: (N,).
        labels: (N,), 0..K-1; two or more occur.
        rounds: shuffles.
        seed: of them.

    Source: the statistic of Kruskal and Wallis 1952, "Use of ranks in one-criterion variance analysis", whose only part
    that shuffling changes is the sum over the classes of (sum of ranks)^2 / count.
    """
    ranked, counts = ranks(values), np.bincount(labels)
    shown = counts > 0

    def statistic(of: Indices) -> float:
        return float((np.bincount(of, ranked, len(counts))[shown] ** 2 / counts[shown]).sum())

    observed = statistic(labels)
    random = np.random.default_rng(seed)
    as_strong = sum(statistic(random.permutation(labels)) >= observed * (1 - 1e-12) for _ in range(rounds))
    return (as_strong + 1) / (rounds + 1)


def holm(chances: Sequence[float]) -> tuple[float, ...]:
    """Each so much larger that the least of several stays below a level by accident no more often than the level says.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    corrected = [0.0] * len(chances)
    least = 0.0
    for place, at in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        least = max(least, min(1.0, (len(chances) - place) * chances[at]))
        corrected[at] = least
    return tuple(corrected)
