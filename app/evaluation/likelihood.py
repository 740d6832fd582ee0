"""How well answers agree with labels, and whether two sets of answers truly differ; arrays only.

log-probabilities (N, K), true classes (N,), an order of classes -> (N,) -> mean, paired test
"""

import itertools
import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.evaluation.metrics import Floats, Indices

LEAST_LOG_PROBABILITY: Final = float(np.log(1e-4))
"""One picture that the model is sure of and wrong about must not outvote all others."""
MAX_PERMUTED_CLASSES: Final = 5
"""120 orders; above it only those that scripts make by accident."""
FLIPS: Final = 4096
EXACT_UP_TO: Final = 12
"""2 ** 12 = FLIPS: all of them, instead of a sample."""

Order = tuple[int, ...]
"""Class index in the manifest -> output of the network."""


def log_probabilities(logits: NDArray[np.floating]) -> Floats:
    """(N, K) -> (N, K), none below LEAST_LOG_PROBABILITY; logits that are not finite numbers say the least."""
    wide = logits.astype(np.float64)
    finite = np.isfinite(wide).all(axis=1, keepdims=True)
    wide = np.where(finite, wide, 0.0)
    shifted = wide - wide.max(axis=1, keepdims=True)
    found = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return np.asarray(np.where(finite, np.maximum(found, LEAST_LOG_PROBABILITY), LEAST_LOG_PROBABILITY))


def of_true_class(log_probability: Floats, true: Indices, orders: Sequence[Order]) -> Floats:
    """(N, K), (N,), P orders -> (P, N): what was said of each picture's class, were the outputs in that order."""
    outputs = np.asarray(orders)[:, true]
    return np.asarray(log_probability[np.arange(len(true)), outputs])


def plausible_orders(classes: Sequence[str]) -> tuple[Order, ...]:
    """Orders that the outputs may truly be in; the declared one first.

    All permutations of few classes. Of many: sorted as text (ImageFolder), as people count, without regard to
    case, and each of these and the declared one backwards.
    """
    count = len(classes)
    declared = tuple(range(count))
    if count <= MAX_PERMUTED_CLASSES:
        return tuple(itertools.permutations(range(count)))
    scripts = (sorted(classes), sorted(classes, key=_natural), sorted(classes, key=str.casefold))
    orders = [declared, *(tuple(names.index(name) for name in classes) for names in scripts)]
    orders += [tuple(count - 1 - output for output in order) for order in orders]
    return tuple(dict.fromkeys(orders))


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    """`2` before `10`."""
    parts = re.split(r"(\d+)", name)
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)


def reordered(classes: Sequence[str], order: Order) -> tuple[str, ...]:
    """The class names in the order of the outputs, as the manifest should list them."""
    return tuple(classes[order.index(output)] for output in range(len(classes)))


def sign_flip_test(better: Floats, worse: Floats) -> float:
    """How often chance alone would make the one as much better than the other, 0..1.

    Paired and one-sided: were the two alike, each picture's difference could as well have the other sign. Assumes
    nothing of how they are distributed. Small: the difference is real; large: a tie.

    Args:
        better: (N,), one number for each picture.
        worse: (N,), of the same pictures.

    Source: Fisher 1935, section 21; Good 2005, "Permutation, Parametric and Bootstrap Tests", section 3.2.1.
    """
    differences = better - worse
    if not differences.any():
        return 1.0
    count = len(differences)
    if count <= EXACT_UP_TO:
        bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
        signs = 1.0 - 2.0 * bits
    else:
        # The observed signs are one of the possible ones, so that the answer is never 0.
        signs = np.random.default_rng(0).choice((-1.0, 1.0), size=(FLIPS, count))
        signs[0] = 1.0
    sums = signs @ differences
    # Sums of the same numbers in another order may differ in their last digits.
    return float(np.mean(sums >= sums[0] - 1e-9 * np.abs(differences).sum()))
