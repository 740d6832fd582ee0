"""How far the figures of labelled pictures may be trusted, also where pictures of one animal belong together.

true (N,), predicted (N,), group (N,) -> intervals_of -> 95 % of accuracy, recalls, balanced accuracy and macro F1

Ten views of one carcass are right or wrong together: drawn one by one they look like ten carcasses, and an interval is a
third as wide as it must be. So whole groups are drawn. NumPy only; tests/evaluation counts how often the truth is inside.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.evaluation.metrics import Floats, Indices

ROUNDS: Final = 2000
"""The ends of a 95 % interval then stand on 50 rounds each."""
SEED: Final = 0
HALF: Final = 0.5
"""A right and a wrong picture are added with this weight (Jeffreys): where no mistake was seen there is else none to draw,
and the interval is (1, 1). To the recall of a class each; to a figure of all classes one wrong picture for all of them, so
that a thousand classes are not called worse than they are."""

Interval = tuple[float, float]
NOTHING_KNOWN: Final[Interval] = (0.0, 1.0)
"""Of a class without pictures."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """95 %."""

    accuracy: Interval
    recalls: tuple[Interval, ...]
    """By class."""
    balanced_accuracy: Interval
    macro_f1: Interval


def group_numbers(groups: tuple[str, ...]) -> Indices:
    """(N,), 0..G-1."""
    return np.unique(np.array(groups, dtype=object).astype(str), return_inverse=True)[1].astype(np.int64)


def intervals_of(
    true: Indices,
    predicted: Indices,
    class_count: int,
    groups: Indices | None = None,
    *,
    rounds: int = ROUNDS,
    seed: int = SEED,
) -> Intervals:
    """Percentiles of the figures over random weights of the groups, each class keeping its share of the pictures.

    A group's weight is exponential, which is the bootstrap without its zeros (Rubin 1981, "The Bayesian bootstrap"; whole
    groups: Field and Welsh 2007, "Bootstrapping clustered data"). For pictures one by one that is the Dirichlet posterior of
    each row of the confusion matrix, under Jeffreys' prior for right and wrong (Brown, Cai and DasGupta 2001, section 4.3).

    Args:
        true: (N,), class indices.
        predicted: (N,).
        class_count: K.
        groups: (N,), 0..G-1; None: each picture is one of its own.
        rounds: draws.
        seed: of them.
    """
    support = np.bincount(true, minlength=class_count).astype(np.float64)
    shown = support > 0
    if not shown.any():
        nothing = (np.nan, np.nan)
        return Intervals(nothing, (NOTHING_KNOWN,) * class_count, nothing, nothing)
    cells, cell_of = np.unique(true * class_count + predicted, return_inverse=True)
    rows, columns = np.divmod(cells, class_count)
    is_hit = rows == columns
    sizes = np.bincount(cell_of).astype(np.float64)
    added = group_of_a_picture(true, groups, class_count)
    random = np.random.default_rng(seed)

    def macro(drawn: Floats, hits_added: Floats, wrong_added: Floats) -> tuple[Floats, float]:
        """Recalls (K,) and the F1, as of so many pictures of each class as there are."""
        whole = np.bincount(rows, drawn, class_count) + hits_added + wrong_added
        scale = np.divide(support, whole, out=np.zeros(class_count), where=shown)
        hits = (np.bincount(rows[is_hit], drawn[is_hit], class_count) + hits_added) * scale
        wrong = wrong_added * scale
        called = np.bincount(columns, drawn * scale[rows], class_count) + hits_added * scale
        called += (wrong.sum() - wrong) / max(class_count - 1, 1)
        f1 = 2 * hits[shown] / (called + support)[shown]
        return np.divide(hits, support, out=np.full(class_count, np.nan), where=shown), float(f1.mean())

    recalls, means = np.empty((2, rounds, class_count))
    scores = np.empty(rounds)
    for number in range(rounds):
        drawn = weights_of_cells(cell_of, groups, random)
        hits_added = added * random.gamma(HALF, size=class_count)
        recalls[number], _ = macro(drawn, hits_added, added * random.gamma(HALF, size=class_count))
        shared = added * random.gamma(HALF / int(shown.sum()), size=class_count)
        means[number], scores[number] = macro(drawn, hits_added, shared)
    none = np.zeros(class_count)
    seen, score = macro(sizes, none, none)
    return Intervals(
        around(
            float(support @ np.nan_to_num(seen)) / support.sum(),
            np.nan_to_num(means) @ support / support.sum(),
        ),
        tuple(around(float(seen[k]), recalls[:, k]) for k in range(class_count)),
        around(float(seen[shown].mean()), means[:, shown].mean(axis=1)),
        around(score, scores),
    )


def weights_of_cells(cell_of: Indices, groups: Indices | None, random: np.random.Generator) -> Floats:
    """One draw: exponential weights of the groups, added up in each cell of the confusion matrix that has pictures.

    Args:
        cell_of: (N,), 0..C-1: the cell that each picture stands in.
        groups: (N,), 0..G-1; None: each picture is one of its own.
        random: goes on from where it is.
    """
    if groups is None:
        return np.asarray(random.gamma(np.bincount(cell_of).astype(np.float64)), np.float64)
    weights = random.exponential(size=int(groups.max()) + 1)
    return np.asarray(np.bincount(cell_of, weights[groups]), np.float64)


def group_of_a_picture(true: Indices, groups: Indices | None, class_count: int) -> Floats:
    """(K,): pictures in the group of a picture, on average, 0 for a class without: what is added is a group, too.

    Not of a group: where some are twenty times as large as others, the large ones decide, and these are few.
    """
    support = np.bincount(true, minlength=class_count)
    if groups is None:
        return (support > 0).astype(np.float64)
    pairs, sizes = np.unique(np.stack([true, groups]), axis=1, return_counts=True)
    squares = np.bincount(pairs[0], sizes.astype(np.float64) ** 2, class_count)
    return np.asarray(squares / np.maximum(support, 1))


def around(seen: float, drawn: Floats) -> Interval:
    """The middle 95 %, with what was seen inside, as Brown, Cai and DasGupta do for none and all right."""
    if np.isnan(seen):
        return NOTHING_KNOWN
    low, high = np.quantile(drawn, (0.025, 0.975))
    return min(float(low), seen), max(float(high), seen)
