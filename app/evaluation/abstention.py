"""What it costs to answer fewer pictures: those that the model is least sure of are left to a person.

probabilities (N, K) + true (N,) -> error_against_coverage -> a row for each share that is still answered

Source: El-Yaniv and Wiener 2010, "On the foundations of noise-free selective classification"; Geifman and El-Yaniv 2017,
"Selective classification for deep neural networks" (a threshold on the winning probability).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.evaluation.metrics import Floats, Indices

COVERAGES: Final = (1.0, 0.99, 0.98, 0.95, 0.9, 0.8, 0.7, 0.5)
"""A line that answers less than half of its carcasses has no use for a model."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The pictures whose winning probability is at least a threshold."""

    threshold: float
    """0..1, as the server answers it."""
    pictures: int
    wrong: int
    coverage: float
    """Share of all pictures; more than was asked for where several are equally sure."""

    @property
    def error(self) -> float:
        """Share of the answered that is wrong."""
        return self.wrong / self.pictures


def error_against_coverage(probabilities: Floats, true: Indices) -> tuple[Answered, ...]:
    """From all pictures down to half of them; fewer rows where thresholds fall together, none without pictures."""
    if not len(true):
        return ()
    sureness, is_wrong = probabilities.max(axis=1), probabilities.argmax(axis=1) != true
    falling = np.sort(sureness)[::-1]
    rows = []
    for threshold in dict.fromkeys(
        # Less a rounding error: 0.7 of 10 pictures are 7.
        float(falling[int(np.ceil(coverage * len(true) - 1e-9)) - 1])
        for coverage in COVERAGES
    ):
        is_answered = sureness >= threshold
        count = int(is_answered.sum())
        rows.append(Answered(threshold, count, int((is_wrong & is_answered).sum()), count / len(true)))
    return tuple(rows)
