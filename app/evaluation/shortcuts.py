"""Whether something besides the animal tells the classes apart: the audit of a folder.

facts of N labelled pictures -> one Association per fact, one Ordering per amount -> what is confounded, in numbers

A class that was photographed on a day of its own can be told by that day's light. No figure measured on such a
folder can show that the model does not. Knows no model and makes no sentences.

Source of the worry: Geirhos et al. 2020, "Shortcut Learning in Deep Neural Networks".
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from app.evaluation.association import (
    Contingency,
    chance_of,
    chance_of_order,
    contingency,
    cramers_v,
    holm,
    share_above,
)
from app.evaluation.facts import AMOUNTS, FACTS, Amount, Fact, PictureFacts, are_patterns
from app.evaluation.metrics import Counts, wilson_interval

UNKNOWN: Final = "-"
"""The group of pictures that say nothing: whether a picture has metadata may itself tell its class."""
STRONG: Final = 0.5
WEAK: Final = 0.2
"""Of Cramer's V; below, a network gains little by the fact."""
LEVEL: Final = 0.05
IN_ORDER: Final = 0.75
"""Share of pairs; half is no order at all. Cliff's delta is then 0.5, which Romano et al. 2006 call large from 0.474 on."""

Strength = Literal["confounded", "leaning", "none", "single"]
"""single: all pictures share one group, so nothing is known of another."""


@dataclass(frozen=True, slots=True)
class Separation:
    """A class that shares no group with any other."""

    class_name: str
    count: int
    groups: tuple[str, ...]
    others: tuple[str, ...]
    """Groups of the other classes."""


@dataclass(frozen=True, slots=True)
class Association:
    """Classes against the groups of one fact."""

    fact: Fact
    table: Contingency
    """Rows are the classes."""
    cramers_v: float
    """Corrected for bias; 0..1."""
    chance: float
    """How often shuffled pictures go together at least so strongly."""
    corrected: float
    """The same for the likeliest of everything that is looked at in a folder (Holm): this decides."""
    separations: tuple[Separation, ...]

    @property
    def strength(self) -> Strength:
        """What the table amounts to."""
        if len(self.table.columns) == 1:
            return "single"
        if self.corrected >= LEVEL or self.cramers_v < WEAK:
            return "none"
        return "confounded" if self.cramers_v >= STRONG or self.separations else "leaning"


@dataclass(frozen=True, slots=True)
class Ordering:
    """The class that an amount sets apart the most."""

    amount: Amount
    class_name: str
    count: int
    """Its pictures that say the amount."""
    share_above: float
    """How often a picture of the class has more of it than another's; 0 and 1: every time."""
    chance: float
    """How often shuffled pictures stand as much in order."""
    corrected: float
    """As that of an Association."""

    @property
    def is_strong(self) -> bool:
        """Whether a network could go by it."""
        return self.corrected < LEVEL and max(self.share_above, 1 - self.share_above) >= IN_ORDER


def compared(
    facts: Sequence[PictureFacts], classes: Sequence[str]
) -> tuple[tuple[Association, ...], tuple[Ordering, ...]]:
    """Every fact and every amount that the pictures say something of.

    Each is one more chance for an accident, so what counts is corrected for how many there are. Where pictures have groups,
    an accident is one of whole groups: ten views of one animal were all taken on its day.

    Args:
        facts: at least one.
        classes: by index; those without pictures stay out of the tables.
    """
    tables, orders = _tables(facts, classes), _orders(facts, classes)
    # One group or one class cannot go together with anything: it is no test, and costs the others nothing.
    tested = [fact for fact, table in tables.items() if min(table.counts.shape) > 1]
    chances = [chance_of(_by_groups(facts, classes, fact)) for fact in tested]
    chances += [each.chance for each in orders]
    corrected = holm(chances)
    of = {fact: (chances[at], corrected[at]) for at, fact in enumerate(tested)}
    found = []
    for fact, table in tables.items():
        chance, decides = of.get(fact, (1.0, 1.0))
        apart = separations(table) if decides < LEVEL else ()
        found.append(Association(fact, table, cramers_v(table.counts), chance, decides, apart))
    return tuple(found), tuple(
        replace(each, corrected=decides)
        for each, decides in zip(orders, corrected[len(tested) :], strict=True)
    )


def _tables(facts: Sequence[PictureFacts], classes: Sequence[str]) -> dict[Fact, Contingency]:
    names = [classes[each.item.class_index] for each in facts]
    tables: dict[Fact, Contingency] = {}
    for fact in FACTS:
        values = [each.of(fact) for each in facts]
        if not any(values) or (fact in {"name", "folder"} and not are_patterns(values)):
            continue
        tables[fact] = contingency(names, [value or UNKNOWN for value in values], order=classes)
    return tables


def _by_groups(facts: Sequence[PictureFacts], classes: Sequence[str], fact: Fact) -> Counts:
    """As the table, but each group counts once in a cell."""
    units = {(each.counts_with, classes[each.item.class_index], each.of(fact) or UNKNOWN) for each in facts}
    return contingency(*zip(*[unit[1:] for unit in units], strict=True), order=classes).counts


def _orders(facts: Sequence[PictureFacts], classes: Sequence[str]) -> list[Ordering]:
    """Not corrected yet; an amount that is the same everywhere, or that one class alone says, is none."""
    found = []
    for place, amount in enumerate(AMOUNTS):
        said = [
            (value, each.item.class_index) for each in facts if (value := each.amounts[place]) is not None
        ]
        units: dict[tuple[str, int], list[float]] = {}
        for each in facts:
            if (value := each.amounts[place]) is not None:
                units.setdefault((each.counts_with, each.item.class_index), []).append(value)
        values = np.array([value for value, _ in said], np.float64)
        labels = np.array([index for _, index in said], np.int64)
        if len(np.unique(values)) < 2 or len(np.unique(labels)) < 2:
            continue
        shares = {int(index): share_above(values, labels == index) for index in np.unique(labels)}
        farthest = max(shares, key=lambda index: abs(shares[index] - 0.5))
        chance = chance_of_order(
            np.array([np.mean(those) for those in units.values()], np.float64),
            np.array([index for _, index in units], np.int64),
        )
        count = int((labels == farthest).sum())
        found.append(Ordering(amount, classes[farthest], count, shares[farthest], chance, chance))
    return found


def separations(table: Contingency) -> tuple[Separation, ...]:
    """Classes none of whose groups holds a picture of another class."""
    found = []
    for index, name in enumerate(table.rows):
        own = table.counts[index]
        others = table.counts.sum(axis=0) - own
        if own.any() and others.any() and not ((own > 0) & (others > 0)).any():
            found.append(
                Separation(
                    name,
                    int(own.sum()),
                    tuple(group for group, count in zip(table.columns, own, strict=True) if count),
                    tuple(group for group, count in zip(table.columns, others, strict=True) if count),
                )
            )
    # Where every class is apart from every other, saying it of each is right, and of two it is the same thing.
    return tuple(found[:1] if len(table.rows) == 2 else found)


@dataclass(frozen=True, slots=True)
class GroupScore:
    """How often the model is right in one group."""

    fact: Fact
    group: str
    count: int
    hits: int
    independent: int | None = None
    """What the pictures amount to where those of one animal are right or wrong together; None: each counts."""

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the accuracy, of as many pictures as are independent."""
        count = self.independent or self.count
        return wilson_interval(self.hits * count / self.count, count)


def scores_by_group(facts: Sequence[PictureFacts], is_right: dict[str, bool]) -> tuple[GroupScore, ...]:
    """Of every fact with two groups or more; `is_right` by the path of the file, where it was predicted."""
    scores = []
    is_grouped = any(each.group is not None for each in facts)
    for fact in FACTS:
        rights: dict[str, list[bool]] = {}
        together: dict[str, set[str]] = {}
        for each in facts:
            path = str(each.item.path)
            if (right := is_right.get(path)) is not None:
                group = each.of(fact) or UNKNOWN
                rights.setdefault(group, []).append(right)
                together.setdefault(group, set()).add(each.counts_with)
        if len(rights) > 1 and (
            fact not in {"name", "folder"} or are_patterns([each.of(fact) for each in facts])
        ):
            scores += [
                GroupScore(fact, group, len(those), sum(those), len(together[group]) if is_grouped else None)
                for group, those in sorted(rights.items())
            ]
    return tuple(scores)
