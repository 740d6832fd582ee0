"""What a model does where the classes come as often as on the line, and not as in the folder.

true, predicted (N,) + how often each class comes (K,) -> on_the_line -> accuracy and precisions there, with intervals

A folder of defects has as many of them as good parts; a line has one in a hundred, and of what is then called a defect most
may be good parts. Recalls stay what they are; how often each class comes only weighs them (Bayes).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.bundles.problems import did_you_mean, listed
from app.errors import InvalidRequest
from app.evaluation.labelled import class_indices
from app.evaluation.metrics import Floats, Indices, confusion_matrix
from app.evaluation.resampling import (
    HALF,
    ROUNDS,
    SEED,
    Interval,
    around,
    group_of_a_picture,
    weights_of_cells,
)
from app.evaluation.walk import plain


@dataclass(frozen=True, slots=True)
class OnTheLine:
    """Where the classes come so often."""

    shares: Floats
    """(K,), of all that comes; together 1."""
    accuracy: float
    accuracy_interval: Interval
    precision: Floats
    """(K,): of what is called so, the share that is; NaN for a class that was never called."""
    precision_intervals: tuple[Interval, ...]
    """95 %."""


def read_shares(
    given: Sequence[str], classes: Sequence[str], display: Mapping[str, Mapping[str, str]] | None = None
) -> Floats | None:
    """`ok=97`, `scratch=2`, `dent=1` -> (K,), together 1; None where nothing was given.

    Args:
        given: a class or one of its labels each, and how often it comes: a share, per cent or a count.
        classes: in the order of the outputs.
        display: language -> class -> label, as in the manifest.

    Raises:
        InvalidRequest: no such class, no number, or a class is missing.
    """
    if not given:
        return None
    indices = class_indices(classes, display or {})
    shares = np.full(len(classes), np.nan)
    for text in given:
        name, _, number = text.rpartition("=")
        index = indices.get(plain(name.strip()))
        if index is None:
            raise InvalidRequest(
                f"--prevalence {text}: write CLASS=SHARE; the classes are {listed(classes)}{did_you_mean(name, classes)}"
            )
        try:
            shares[index] = float(number)
        except ValueError:
            shares[index] = -1.0
        if not (math.isfinite(shares[index]) and shares[index] >= 0):
            raise InvalidRequest(f"--prevalence {text}: {number or 'nothing'} is no share")
    if missing := [name for name, share in zip(classes, shares, strict=True) if math.isnan(share)]:
        raise InvalidRequest(
            f"--prevalence: how often {listed(missing)} comes is not said; 0 where it never does"
        )
    if shares.sum() == 0:
        raise InvalidRequest("--prevalence: no class comes at all")
    return np.asarray(shares / shares.sum())


def on_the_line(
    true: Indices,
    predicted: Indices,
    shares: Floats,
    groups: Indices | None = None,
    *,
    rounds: int = ROUNDS,
    seed: int = SEED,
) -> OnTheLine:
    """The figures of the pictures, weighed as the classes come; intervals as `resampling.intervals_of` draws them.

    Args:
        true: (N,), class indices; every class that comes has a picture.
        predicted: (N,).
        shares: (K,), together 1.
        groups: (N,), 0..G-1; None: each picture is one of its own.
        rounds: draws.
        seed: of them.
    """
    count = len(shares)
    seen = confusion_matrix(true, predicted, count).astype(np.float64)
    cells, cell_of = np.unique(true * count + predicted, return_inverse=True)
    added = group_of_a_picture(true, groups, count)
    random = np.random.default_rng(seed)
    accuracies, precisions = np.empty(rounds), np.empty((rounds, count))
    for number in range(rounds):
        drawn = weights_of_cells(cell_of, groups, random)
        # A right and a wrong picture of each class are added with half a weight (Jeffreys), the wrong one to all others alike.
        wrong = added * random.gamma(HALF, size=count) / max(count - 1, 1)
        matrix = np.repeat(wrong[:, np.newaxis], count, axis=1)
        np.fill_diagonal(matrix, added * random.gamma(HALF, size=count))
        matrix.reshape(-1)[cells] += drawn
        accuracies[number], precisions[number] = _weighed(matrix, shares)
    accuracy, precision = _weighed(seen, shares)
    return OnTheLine(
        shares,
        accuracy,
        around(accuracy, accuracies),
        precision,
        tuple(around(float(precision[k]), precisions[:, k]) for k in range(count)),
    )


def _weighed(confusion: Floats, shares: Floats) -> tuple[float, Floats]:
    """(K, K) of any weights, (K,) -> accuracy, precisions (K,)."""
    whole = confusion.sum(axis=1, keepdims=True)
    rates = np.divide(confusion, whole, out=np.zeros_like(confusion), where=whole > 0) * shares[:, np.newaxis]
    hits, called = np.diag(rates), rates.sum(axis=0)
    return float(hits.sum()), np.divide(hits, called, out=np.full(len(shares), np.nan), where=called > 0)
