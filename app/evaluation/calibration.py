"""How much a probability may be believed, and the one number that mends most of it.

logits (N, K) + labels (N,) -> fit_temperature -> T;  softmax(logits / T) is what the server answers
probabilities (N, K) + labels (N,) -> reliability -> bins -> expected_calibration_error

NumPy only; knows no network, no files and no names.

Source: Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv 1706.04599), sections 2 and 4.2.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

BINS: Final = 15
"""As in the paper, so that figures can be compared."""
LEAST, LARGEST = 0.05, 20.0
"""Temperatures beyond these are a broken model, not an unsure one."""
GOLDEN_RATIO: Final = (math.sqrt(5.0) - 1.0) / 2.0
STEPS: Final = 60
"""Each keeps 0.618 of the interval: 1e-12 of it is left."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The pictures whose winning probability lies in (lower, upper]."""

    lower: float
    upper: float
    count: int
    confidence: float
    """Mean winning probability; 0.0 where the bin is empty."""
    accuracy: float
    """Share of them that were right; 0.0 where the bin is empty."""


def probabilities_at(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """softmax(logits / T) over the last axis: (..., K) -> (..., K)."""
    return np.exp(_log_probabilities(logits, 1.0 / temperature))


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """The temperature that makes the labels most likely.

    The loss is convex in 1 / T, hence has one minimum over log T: golden section finds it. Where every
    picture is right there is none, the loss falls for ever as T falls; then 1.0: nothing here says that
    the model should be surer than it is.

    Args:
        logits: (N, K), of pictures that were not trained on.
        labels: (N,), class indices.

    Returns:
        Between 0.05 and 20; above 1 where the model was too sure.

    Raises:
        ValueError: the shapes do not go together, there is no picture, or a logit is not finite.
    """
    _check(logits, labels)
    if bool((logits.argmax(axis=1) == labels).all()):
        return 1.0
    low, high = math.log(LEAST), math.log(LARGEST)
    for _ in range(STEPS):
        inner = high - GOLDEN_RATIO * (high - low), low + GOLDEN_RATIO * (high - low)
        left, right = (_loss(logits, labels, math.exp(-log)) for log in inner)
        low, high = (low, inner[1]) if left < right else (inner[0], high)
    return math.exp((low + high) / 2.0)


def reliability(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], *, bins: int = BINS
) -> tuple[ReliabilityBin, ...]:
    """Bins of equal width over the winning probability; (N, K), (N,) -> `bins` of them."""
    _check(probabilities, labels)
    confidence = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == labels
    # (lower, upper]: 1.0 belongs to the last bin, 0.0 cannot win.
    numbers = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return tuple(
        ReliabilityBin(
            lower=number / bins,
            upper=(number + 1) / bins,
            count=int(inside.sum()),
            confidence=float(confidence[inside].mean()) if inside.any() else 0.0,
            accuracy=float(is_right[inside].mean()) if inside.any() else 0.0,
        )
        for number in range(bins)
        for inside in [numbers == number]
    )


def expected_calibration_error(bins: tuple[ReliabilityBin, ...]) -> float:
    """The mean distance between confidence and accuracy, weighed by the bins' pictures; 0..1."""
    count = sum(each.count for each in bins)
    return sum(each.count * abs(each.confidence - each.accuracy) for each in bins) / max(count, 1)


def _log_probabilities(logits: NDArray[np.floating], inverse: float) -> NDArray[np.float64]:
    scaled = logits.astype(np.float64) * inverse
    scaled -= scaled.max(axis=-1, keepdims=True)
    shares: NDArray[np.float64] = scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True))
    return shares


def _loss(logits: NDArray[np.floating], labels: NDArray[np.integer], inverse: float) -> float:
    return float(-_log_probabilities(logits, inverse)[np.arange(len(labels)), labels].mean())


def _check(scores: NDArray[np.floating], labels: NDArray[np.integer]) -> None:
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or not len(labels):
        raise ValueError(f"scores {scores.shape} and labels {labels.shape}: not (N, K) and (N,), N > 0")
    if not np.isfinite(scores).all():
        raise ValueError("a logit is not a finite number")
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ValueError("a label is no class index")
