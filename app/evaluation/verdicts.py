"""Which declarations the evidence cannot tell from the best: labels first, then the network's own memory.

Labels speak by likelihood. Two things keep them honest: a difference must be real (paired test) and large enough
to matter (likelihood ratio), for a network that is a little surer is not therefore better prepared. And a
declaration under which the first layers see values that training never had is out, however sure the network is:
on 0..255 instead of 0..1 a network is 255 times as sure. Only if such a declaration gets significantly more
pictures right is the memory wrong instead (batch normalisation frozen at another task's statistics), and is then
not asked any more.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from app.evaluation.likelihood import Order, sign_flip_test
from app.evaluation.metrics import Floats
from app.evaluation.statistics import BatchMemory, Moments

LIKELIHOOD_RATIO: Final = math.log(20)
"""Nats over all pictures; Jeffreys calls evidence from 10 to 30 strong (1961, appendix B)."""
OFF_THE_SCALE: Final = 1.0
"""Nats per channel: training's own pictures are below 0.1, a wrong scale is in the thousands."""
FARTHER: Final = 2.0
"""Augmentation moves the statistics too; only twice the distance counts."""
NEAR: Final = 0.02
"""Nats per channel within which two distances are alike: a few pictures are never quite the training's average."""

Evidence = Literal["tie", "labels", "statistics"]
"""What tells a declaration from the best; tie: nothing does."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of one declaration over N pictures."""

    order: Order
    """Of the classes, under which it is judged."""
    log_probability: Floats
    """(N,), of the true class."""
    hits: Floats
    """(N,), 1 where the predicted class is the true one."""
    moments: Moments
    """(N, 2, C)."""


def verdicts(candidates: Sequence[Candidate], memory: BatchMemory, *, level: float) -> list[Evidence]:
    """For each candidate, what tells it from the best; at least one is a tie.

    Args:
        candidates: at least one, all of the same pictures.
        memory: of the network that answered.
        level: chance below which a difference is taken as real.
    """
    if memory.is_empty:
        return _by_labels(candidates, range(len(candidates)), level)
    distances = np.array([memory.distance(candidate.moments) for candidate in candidates])
    normal = [int(index) for index in np.flatnonzero(distances <= OFF_THE_SCALE)]
    if not normal or _is_contradicted(candidates, distances, level):
        return _by_labels(candidates, range(len(candidates)), level)
    found = _by_labels(candidates, normal, level)
    ties = [index for index in normal if found[index] == "tie"]
    nearest = min(ties, key=lambda index: float(distances[index]))
    for index in ties:
        is_farther = distances[index] > FARTHER * distances[nearest] + NEAR
        if is_farther and (
            memory.chance_of_nearer(candidates[index].moments, candidates[nearest].moments) < level
        ):
            found[index] = "statistics"
    return found


def _is_contradicted(candidates: Sequence[Candidate], distances: Floats, level: float) -> bool:
    """A declaration off the scale gets more pictures right than any on it."""
    hits = np.array([candidate.hits.mean() for candidate in candidates])
    normal = distances <= OFF_THE_SCALE
    inside = int(np.flatnonzero(normal)[hits[normal].argmax()])
    outside = [int(index) for index in np.flatnonzero(~normal & (hits > hits[inside]))]
    best_outside = max(outside, key=lambda index: float(hits[index]), default=None)
    if best_outside is None:
        return False
    return sign_flip_test(candidates[best_outside].hits, candidates[inside].hits) < level


def _by_labels(candidates: Sequence[Candidate], among: Sequence[int], level: float) -> list[Evidence]:
    """Ties of the likeliest; who is not among those that may be is told by statistics already."""
    best = candidates[max(among, key=lambda index: float(candidates[index].log_probability.mean()))]
    found: list[Evidence] = ["statistics"] * len(candidates)
    for index in among:
        mine = candidates[index].log_probability
        behind = float((best.log_probability - mine).sum())
        is_worse = behind > LIKELIHOOD_RATIO and sign_flip_test(best.log_probability, mine) < level
        found[index] = "labels" if is_worse else "tie"
    return found
