"""Whether something besides the animal tells the classes apart: the audit of a folder.

facts of N labelled pictures -> one Association per fact -> what is confounded, in numbers

A class that was photographed on a day of its own can be told by that day's light. No figure measured on such a
folder can show that the model does not. Knows no model and makes no sentences.

Source of the worry: Geirhos et al. 2020, "Shortcut Learning in Deep Neural Networks".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from app.evaluation.association import Contingency, chance_of, contingency, cramers_v
from app.evaluation.facts import FACTS, Fact, PictureFacts, are_patterns
from app.evaluation.metrics import wilson_interval

UNKNOWN: Final = "-"
"""The group of pictures that say nothing: whether a picture has metadata may itself tell its class."""
STRONG: Final = 0.5
WEAK: Final = 0.2
"""Of Cramer's V; below, a network gains little by the fact."""
LEVEL: Final = 0.05

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
    separations: tuple[Separation, ...]

    @property
    def strength(self) -> Strength:
        """What the table amounts to."""
        if len(self.table.columns) == 1:
            return "single"
        if self.chance >= LEVEL or self.cramers_v < WEAK:
            return "none"
        return "confounded" if self.cramers_v >= STRONG or self.separations else "leaning"


def associations(facts: Sequence[PictureFacts], classes: Sequence[str]) -> tuple[Association, ...]:
    """Every fact that the pictures say something of.

    Args:
        facts: at least one.
        classes: by index; those without pictures stay out of the tables.
    """
    names = [classes[each.item.class_index] for each in facts]
    found = []
    for fact in FACTS:
        values = [each.of(fact) for each in facts]
        if not any(values) or (fact in {"name", "folder"} and not are_patterns(values)):
            continue
        table = contingency(names, [value or UNKNOWN for value in values], order=classes)
        chance = chance_of(table.counts) if min(table.counts.shape) > 1 else 1.0
        found.append(
            Association(
                fact,
                table,
                cramers_v(table.counts),
                chance,
                separations(table) if chance < LEVEL else (),
            )
        )
    return tuple(found)


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

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the accuracy."""
        return wilson_interval(self.hits, self.count)


def scores_by_group(facts: Sequence[PictureFacts], is_right: dict[str, bool]) -> tuple[GroupScore, ...]:
    """Of every fact with two groups or more; `is_right` by the path of the file, where it was predicted."""
    scores = []
    for fact in FACTS:
        rights: dict[str, list[bool]] = {}
        for each in facts:
            if (right := is_right.get(str(each.item.path))) is not None:
                rights.setdefault(each.of(fact) or UNKNOWN, []).append(right)
        if len(rights) > 1 and (
            fact not in {"name", "folder"} or are_patterns([each.of(fact) for each in facts])
        ):
            scores += [
                GroupScore(fact, group, len(those), sum(those)) for group, those in sorted(rights.items())
            ]
    return tuple(scores)
