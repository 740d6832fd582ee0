"""How well a class's probability orders the pictures, whatever threshold and however rare the class is.

logits (N, K) + true (N,) [+ group (N,)] -> roc_auc -> for each class the area under the ROC curve, with its interval

That is the chance that a picture of the class gets a larger probability than one of the others; 0.5 is guessing.

Source: DeLong et al. 1988 (the variance); Obuchowski 1997 (pictures in groups); Newcombe 2006, "Confidence intervals for an
effect size measure based on the Mann-Whitney statistic", part 2 (Wilson's form, which has a width at 1 too).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.evaluation.metrics import Floats, Indices, wilson_interval


@dataclass(frozen=True, slots=True)
class Area:
    """Under one class's ROC curve, against all others."""

    value: float
    """NaN where the class, or every other, has no pictures."""
    interval: tuple[float, float]
    """95 %."""


def roc_auc(
    logits: NDArray[np.floating], true: Indices, temperature: float = 1.0, groups: Indices | None = None
) -> tuple[Area, ...]:
    """Of each class, (K,).

    Args:
        logits: (N, K).
        true: (N,), class indices.
        temperature: the manifest's; of more than two classes it may change the order of pictures.
        groups: (N,), 0..G-1; None: each picture is one of its own.
    """
    scores = log_odds(logits, temperature)
    groups = np.arange(len(true)) if groups is None else groups
    return tuple(_area(scores[:, index], true == index, groups) for index in range(scores.shape[1]))


def log_odds(logits: NDArray[np.floating], temperature: float = 1.0) -> Floats:
    """log(p / (1 - p)) of every class, (N, K): the order of the probabilities, also of those that round to 1."""
    scaled = logits.astype(np.float64) / temperature
    top = scaled.argmax(axis=1, keepdims=True)
    most = np.take_along_axis(scaled, top, axis=1)
    shares = np.exp(scaled - most)
    # Of the top class the others are summed without it; of any other the sum is 1 or more, and nothing cancels.
    odds: Floats = scaled - most - np.log(np.maximum(shares.sum(axis=1, keepdims=True) - shares, 1.0))
    others = np.array(scaled)
    np.put_along_axis(others, top, -np.inf, axis=1)
    second = others.max(axis=1, keepdims=True)
    rest = second + np.log(np.exp(others - second).sum(axis=1, keepdims=True))
    np.put_along_axis(odds, top, most - rest, axis=1)
    return odds


def _area(scores: Floats, is_class: NDArray[np.bool_], groups: Indices) -> Area:
    inside, outside = int(is_class.sum()), int((~is_class).sum())
    if not inside or not outside:
        return Area(np.nan, (0.0, 1.0))
    ranks = _midranks(scores)
    # Of each picture the share of the other side that it stands on the right side of; ties count half.
    placed = np.empty(len(scores))
    placed[is_class] = (ranks[is_class] - _midranks(scores[is_class])) / outside
    placed[~is_class] = 1.0 - (ranks[~is_class] - _midranks(scores[~is_class])) / inside
    value = float(placed[is_class].mean())
    influence = (placed - value) / np.where(is_class, inside, outside)
    variance = float((np.bincount(groups, influence) ** 2).sum())
    fewest = min(len(np.unique(groups[side])) for side in (is_class, ~is_class))
    spread = value * (1.0 - value)
    count = spread / variance if variance > 0 and spread > 0 else float(fewest)
    low, high = wilson_interval(value * count, count)
    return Area(value, (min(low, value), max(high, value)))


def _midranks(values: Floats) -> Floats:
    """1..N; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2.0)[place])
