"""Which preprocessing a model was trained with, told by labelled pictures.

declared preprocessing + held pictures + network -> search -> race -> Findings

A model answers best under the preprocessing that it was trained with; every other one shows it pictures that it
has never seen the like of. The search asks about a few pictures: normalisations under frames far apart, then
frames under the best normalisation, then every neighbour of the best, until nothing is better. The race asks
about more and more pictures and drops what the evidence tells from the best. What is left is a tie.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from app.evaluation.declarations import (
    KERNELS,
    Declaration,
    anchored,
    frames,
    normalisations,
    starts,
    with_kernel,
)
from app.evaluation.findings import Finalist, Findings
from app.evaluation.held import Witness
from app.evaluation.likelihood import Order, of_true_class, plausible_orders, reordered, sign_flip_test
from app.evaluation.verdicts import OFF_THE_SCALE, Candidate, verdicts

FIRST_LOOK: Final = 8
"""Pictures of the search; a wrong scale or crop shows in these."""
MAX_FIRST_LOOK: Final = 24
MAX_ROUNDS: Final = 4
MAX_FINALISTS: Final = 32
DROPPED_BELOW: Final = 0.01
"""In the race, where many are compared again and again."""
TIE_FROM: Final = 0.05
GUESSING: Final = 0.001
"""Stricter: the best of hundreds of declarations is better than guessing by luck already."""
FEWEST_PICTURES: Final = math.ceil(math.log2(1 / GUESSING))
"""With fewer no sign-flip test gets below GUESSING, even where all answers are right."""

OnProgress = Callable[[str, int, int], None]
"""Stage, done, total."""


def detect(
    witness: Witness,
    declared: Declaration,
    classes: Sequence[str],
    *,
    least_side: int,
    on_progress: OnProgress = lambda _stage, _done, _total: None,
) -> Findings:
    """Tries a few hundred declarations.

    Args:
        witness: the network and the pictures, balanced from the first on (`labelled.spread`).
        declared: what the manifest says.
        classes: as the manifest orders them.
        least_side: the smallest input that the network takes, in pixels.
        on_progress: for a progress bar.
    """
    total = len(witness.held.pictures)
    first = min(total, max(FIRST_LOOK, min(2 * len(classes), MAX_FIRST_LOOK)))
    search = _Search(witness, declared, plausible_orders(classes), first, on_progress)
    search.look_far(least_side)
    finalists, unresolved = search.race(total)
    return search.findings(finalists, unresolved, classes, total)


class _Search:
    """The state of one investigation."""

    def __init__(
        self,
        witness: Witness,
        declared: Declaration,
        orders: tuple[Order, ...],
        first: int,
        on_progress: OnProgress,
    ) -> None:
        self.witness = witness
        self.declared = declared
        self.orders = orders
        self.first = first
        self.on_progress = on_progress

    def score(self, stage: str, declarations: Sequence[Declaration], count: int) -> None:
        """Ask about the first `count` pictures."""
        done, total = 0, len(set(declarations))

        def advance(more: int) -> None:
            nonlocal done
            done += more
            self.on_progress(stage, done, total)

        self.witness.ask(declarations, count, advance)

    def candidate(self, declaration: Declaration, count: int, orders: Sequence[Order]) -> Candidate:
        """Over the first `count` pictures, in that of the orders that suits it best."""
        rows, true = (
            self.witness.log_probabilities(declaration, count),
            self.witness.held.true[:count],
        )
        found = of_true_class(rows, true, orders)
        best = int(found.mean(axis=1).argmax())
        hits = rows.argmax(axis=1) == np.asarray(orders[best])[true]
        return Candidate(
            orders[best], found[best], hits.astype(np.float64), self.witness.moments(declaration, count)
        )

    def ranked(self, declarations: Sequence[Declaration], count: int) -> list[Declaration]:
        """The most promising first; equals keep their order."""

        def promise(declaration: Declaration) -> float:
            candidate = self.candidate(declaration, count, self.orders)
            distance = self.witness.memory.distance(candidate.moments) if candidate.moments.size else 0.0
            # Capped: a memory that is wrong must be beaten by a label or two in each picture's worth of nats.
            return float(candidate.log_probability.mean()) - min(distance, OFF_THE_SCALE)

        return sorted(dict.fromkeys(declarations), key=lambda each: -promise(each))

    # --- the search, on a few pictures ---

    def look_far(self, least_side: int) -> None:
        """Until no neighbour of the best is better."""
        own = self.declared
        far = [
            Declaration(steps, normalisation)
            for steps in starts(own.steps, own.input_size)
            for normalisation in normalisations(own.normalisation)
        ]
        self.score("scale, mean, std and channel order", far, self.first)
        best = self.ranked(far, self.first)[0]
        for _ in range(MAX_ROUNDS):
            better = self.ranked([best, *self._neighbours(best, least_side)], self.first)[0]
            if better == best:
                break
            best = better

    def _neighbours(self, best: Declaration, least_side: int) -> list[Declaration]:
        """The best with another kernel, then frame, then anchor, then kernel and normalisation again."""
        own = self.declared
        kernels = [Declaration(with_kernel(best.steps, kernel), best.normalisation) for kernel in KERNELS]
        self.score("interpolation", kernels, self.first)
        sharp = self.ranked(kernels, self.first)[0]
        framed = [
            Declaration(steps, best.normalisation)
            for steps in frames(own.steps, own.input_size, sharp.kernel or "bilinear", least_side=least_side)
        ]
        self.score("resize and crop", framed, self.first)
        near = [
            Declaration(steps, best.normalisation)
            for each in self.ranked([sharp, *framed], self.first)[:3]
            for steps in anchored(each.steps)
        ]
        self.score("crop anchor", near, self.first)
        leader = self.ranked([*kernels, *framed, *near], self.first)[0]
        last = [
            *(Declaration(with_kernel(leader.steps, kernel), leader.normalisation) for kernel in KERNELS),
            *(Declaration(leader.steps, each) for each in normalisations(own.normalisation)),
        ]
        self.score("neighbours of the best", last, self.first)
        return [*kernels, *framed, *near, *last]

    # --- the race, on all pictures ---

    def race(self, total: int) -> tuple[list[Declaration], int]:
        """The declarations that were tried on every picture, and how many had to be left out unjudged."""
        runners = list(self.witness.answers)
        unresolved = 0
        count = self.first
        while True:
            runners, out = self._survivors(runners, count)
            unresolved += out
            if count >= total:
                return runners, unresolved
            count = min(2 * count, total)
            self.score(f"race over {count} pictures", runners, count)

    def _survivors(self, runners: list[Declaration], count: int) -> tuple[list[Declaration], int]:
        """Whom nothing tells from the best, at most MAX_FINALISTS, and the declared one.

        A quarter are those most like the declared one, so that it is not given up for a tie.
        """
        ranked = self.ranked(runners, count)
        candidates = [self.candidate(each, count, self.orders) for each in ranked]
        found = verdicts(candidates, self.witness.memory, level=DROPPED_BELOW)
        alive = [each for each, evidence in zip(ranked, found, strict=True) if evidence == "tie"]
        alike = sorted(alive, key=lambda each: -each.likeness(self.declared))[: MAX_FINALISTS // 4]
        rest = [each for each in alive if each not in alike][: MAX_FINALISTS - len(alike)]
        kept = list(dict.fromkeys([*alike, *rest, self.declared]))
        return kept, len(set(alive) - set(kept))

    def findings(
        self, finalists: list[Declaration], unresolved: int, classes: Sequence[str], total: int
    ) -> Findings:
        """The order of classes first, then the ranking under it."""
        order = self._likeliest_order(finalists, total)
        candidates = [self.candidate(each, total, [order]) for each in finalists]
        found = verdicts(candidates, self.witness.memory, level=TIE_FROM)
        rows = [
            Finalist(
                each,
                float(candidate.log_probability.mean()),
                float(candidate.hits.mean()),
                self.witness.memory.distance(candidate.moments) if candidate.moments.size else None,
                evidence,
            )
            for each, candidate, evidence in zip(finalists, candidates, found, strict=True)
        ]
        rows.sort(key=lambda row: (row.evidence != "tie", -row.mean_log_probability))
        leader = self.candidate(rows[0].declaration, total, [order]).log_probability
        return Findings(
            declared=self.declared,
            finalists=tuple(rows),
            classes=reordered(classes, order),
            is_permuted=order != self.orders[0],
            is_better_than_guessing=sign_flip_test(leader, np.full(total, -math.log(len(classes))))
            < GUESSING,
            scored=len(self.witness.answers),
            first_look=self.first,
            pictures=total,
            unresolved=unresolved,
            passes=self.witness.passes,
        )

    def _likeliest_order(self, finalists: list[Declaration], total: int) -> Order:
        """The declared order of classes, unless the evidence tells it from another under every declaration."""
        candidates = [
            self.candidate(each, total, orders)
            for each in finalists
            for orders in (self.orders, self.orders[:1])
        ]
        # So many orders were tried that one of them looks good by luck.
        level = TIE_FROM / max(1, len(self.orders) - 1)
        found = verdicts(candidates, self.witness.memory, level=level)
        ties = [candidate for candidate, evidence in zip(candidates, found, strict=True) if evidence == "tie"]
        if any(candidate.order == self.orders[0] for candidate in ties):
            return self.orders[0]
        return max(ties, key=lambda candidate: float(candidate.log_probability.mean())).order
