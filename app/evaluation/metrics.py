"""Figures of merit, as pure functions on arrays.

true (N,), predicted (N,) -> confusion_matrix (K, K) -> accuracy, precision, recall, F1

A figure that the pictures say nothing of is NaN and stays out of every mean. Equal to scikit-learn's with
`zero_division=nan` and `labels` = the classes that have pictures; tests/evaluation checks it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Indices = NDArray[np.int64]

Z_95 = 1.959963984540054
"""The normal distribution's 97.5 % point."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a set of labelled pictures says of a classifier; every figure follows from the confusion matrix."""

    classes: tuple[str, ...]
    confusion: Counts
    """(K, K): rows are the true classes, columns the predicted ones."""

    @property
    def count(self) -> int:
        """N, the pictures."""
        return int(self.confusion.sum())

    @property
    def hits(self) -> int:
        """Pictures whose predicted class is the true one."""
        return int(np.trace(self.confusion))

    @property
    def accuracy(self) -> float:
        """Share of hits."""
        return self.hits / self.count if self.count else math.nan

    @property
    def support(self) -> Counts:
        """Pictures per true class, (K,)."""
        return np.asarray(self.confusion.sum(axis=1))

    @property
    def precision(self) -> Floats:
        """(K,): of the pictures called so, the share that is; NaN for a class that was never predicted."""
        return _share(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def recall(self) -> Floats:
        """(K,): of the class's pictures, the share that was found; NaN for a class without pictures."""
        return _share(np.diag(self.confusion), self.support)

    @property
    def f1(self) -> Floats:
        """(K,): 2 TP / (2 TP + FP + FN); NaN for a class without pictures."""
        both = self.confusion.sum(axis=0) + self.support
        return np.where(self.support > 0, _share(2 * np.diag(self.confusion), both), np.nan)

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes that have pictures; NaN where none has."""
        known = self.f1[self.support > 0]
        return float(known.mean()) if known.size else math.nan

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall over the classes that have pictures, however many each has; NaN where none has."""
        known = self.recall[self.support > 0]
        return float(known.mean()) if known.size else math.nan

    @property
    def without_pictures(self) -> tuple[str, ...]:
        """Classes that no mean includes."""
        return tuple(name for name, count in zip(self.classes, self.support, strict=True) if count == 0)


def figures(true: Indices, predicted: Indices, classes: Sequence[str]) -> Figures:
    """Counts pairs of class indices, both (N,), each 0..K-1; raises ValueError for any other."""
    return Figures(tuple(classes), confusion_matrix(true, predicted, len(classes)))


def confusion_matrix(true: Indices, predicted: Indices, class_count: int) -> Counts:
    """(K, K): rows are the true classes, columns the predicted ones."""
    if true.shape != predicted.shape or true.ndim != 1:
        raise ValueError(f"true classes {true.shape}, predicted {predicted.shape}: not both (N,)")
    for indices in (true, predicted):
        if indices.size and not (indices.min() >= 0 and indices.max() < class_count):
            raise ValueError(f"a class index outside 0..{class_count - 1}")
    cells = np.bincount(true * class_count + predicted, minlength=class_count**2)
    return cells.reshape(class_count, class_count).astype(np.int64)


def most_confused(confusion: Counts, most: int) -> list[tuple[int, int, int]]:
    """True class, predicted class, pictures: the most frequent cells off the diagonal, at most so many."""
    cells = [
        (int(row), int(column), int(confusion[row, column]))
        for row, column in zip(*confusion.nonzero(), strict=True)
        if row != column
    ]
    return sorted(cells, key=lambda cell: (-cell[2], cell[:2]))[:most]


def wilson_interval(hits: float, count: float) -> tuple[float, float]:
    """The 95 % confidence interval of a share; honest also for 15 of 15, where the normal one has no width.

    Source: Wilson 1927; Brown, Cai and DasGupta 2001, section 3.1.1.
    """
    if count == 0:
        return 0.0, 1.0
    share, z2 = hits / count, Z_95**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z_95 / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    # The ends that are 0 and 1 to the bit: 1 less a rounding error would be read as "> 99.9 %".
    return 0.0 if hits == 0 else max(0.0, centre - half), 1.0 if hits == count else min(1.0, centre + half)


def _share(part: Counts, whole: Counts) -> Floats:
    """Divided, NaN where the whole is 0."""
    return np.asarray(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0))
