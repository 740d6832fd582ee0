"""Whether a machine's logits say what the recorded ones said.

expected (N, K), measured (N, K), tolerance -> compare -> GoldenReport

Numbers only; where they come from is golden.py's and the engines' business.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class GoldenRow:
    """One golden image: what was recorded, and what this machine says."""

    file: str
    expected_index: int
    expected_probability: float
    """Of the recorded class."""
    measured_index: int | None
    """None where the logits are not finite numbers."""
    measured_probability: float | None
    """Of the measured class."""
    max_probability_difference: float
    """Over the classes; 1.0 where a logit is not a finite number."""
    max_logit_difference: float | None
    holds: bool


@dataclass(frozen=True, slots=True)
class GoldenReport:
    """How closely this machine answers as the recording did."""

    rows: tuple[GoldenRow, ...]
    max_probability_difference: float
    """Over all images and classes; 1.0 where a logit was not a finite number."""
    top1_disagreements: int
    worst_file: str | None
    holds: bool
    message: str


def compare(
    expected: NDArray[np.floating],
    measured: NDArray[np.floating],
    tolerance: float,
    files: Sequence[str] = (),
) -> GoldenReport:
    """Whether the measured logits say what the expected ones said.

    Probabilities, not logits, because they drive the gate: softmax forgives a constant added to
    all logits and weighs a difference by what it changes.

    Args:
        expected: recorded logits, (N, K).
        measured: this machine's, (N, K).
        tolerance: largest accepted difference of any probability. Where the expected winner leads
            another class by less than this, that class may win instead.
        files: names for the message and the rows, N of them or none.

    Raises:
        ValueError: the shapes differ or there is no image.
    """
    if expected.shape != measured.shape or expected.ndim != 2 or expected.size == 0:
        raise ValueError(f"expected logits {expected.shape}, measured {measured.shape}: not both (N, K)")
    finite = np.isfinite(measured).all(axis=1) & np.isfinite(expected).all(axis=1)  # (N,)
    recorded = _softmax(np.where(finite[:, None], expected, 0.0))
    now = _softmax(np.where(finite[:, None], measured, 0.0))

    differences = np.where(finite, np.abs(recorded - now).max(axis=1), 1.0)  # (N,)
    rows = np.arange(len(recorded))
    lead = recorded.max(axis=1) - recorded[rows, now.argmax(axis=1)]  # 0 where both agree
    disagrees = ~finite | ((recorded.argmax(axis=1) != now.argmax(axis=1)) & (lead >= tolerance))

    # The worst is a disagreement if there is one, and among these the largest difference.
    worst = int(np.lexsort((differences, disagrees))[-1])
    worst_file = files[worst] if files else None
    largest = float(differences.max())
    disagreements = int(disagrees.sum())

    images = f"{len(rows)} golden image{'' if len(rows) == 1 else 's'}"
    message = f"{images} got the recorded class"
    if disagreements:
        message = f"{disagreements} of {images} got another class than recorded"
    message += f"; largest difference of a probability {largest:.2g}, accepted {tolerance:.2g}"
    if not finite.all():
        message = f"{int((~finite).sum())} of {images} gave logits that are not finite numbers"
    logit_differences = np.abs(expected.astype(np.float64) - measured.astype(np.float64))
    return GoldenReport(
        rows=tuple(
            GoldenRow(
                file=files[row] if files else str(row),
                expected_index=int(recorded[row].argmax()),
                expected_probability=float(recorded[row].max()),
                measured_index=int(now[row].argmax()) if finite[row] else None,
                measured_probability=float(now[row].max()) if finite[row] else None,
                max_probability_difference=float(differences[row]),
                max_logit_difference=float(logit_differences[row].max()) if finite[row] else None,
                holds=not disagrees[row] and bool(differences[row] <= tolerance),
            )
            for row in range(len(rows))
        ),
        max_probability_difference=largest,
        top1_disagreements=disagreements,
        worst_file=worst_file,
        holds=disagreements == 0 and largest <= tolerance,
        message=f"{message} (worst: {worst_file})" if worst_file else message,
    )


def _softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N, K) -> (N, K)."""
    wide = logits.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares
