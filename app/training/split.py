"""Which picture is trained on, which watches, which only measures; told by a seed, never by chance.

classes, groups and content of N pictures -> a side for each

Without groups every class is cut by itself, in the order of a hash of seed and content: exact copies of a
picture stand side by side in that order, and adding pictures moves few others. With groups whole groups are
dealt out. Knows no files.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.errors import TrainingRefused
from app.training.folder import SIDES, Side

ATTEMPTS: Final = 300
"""Orders in which groups are dealt; a few dozen groups need less than a second."""
DEALT: Final = 300_000
"""Groups, over all orders. Of many groups the first order already comes near: 16,000 of them would take minutes."""


@dataclass(frozen=True, slots=True)
class Item:
    """What the split needs to know of one picture."""

    class_index: int
    digest: str
    """Of the file, or of its copies' files the smallest: copies share it."""
    side: Side | None = None
    """Where the folder has put it already."""
    group: str | None = None


def split(
    items: Sequence[Item], classes: Sequence[str], *, seed: int, validation_share: float, test_share: float
) -> list[Side]:
    """A side for each picture.

    Where the folder holds train/ and val/, nothing is moved; without val/, a part of train/ becomes it.

    Raises:
        TrainingRefused: a side without pictures of a class, or a group on two sides.
    """
    is_given = any(item.side for item in items)
    sides: list[Side | None] = [item.side for item in items]
    shares: dict[Side, float] = {"validation": validation_share, "test": test_share}
    if is_given:
        shares = {} if "validation" in sides else {"validation": validation_share}
    if (not is_given or shares) and not validation_share:
        raise TrainingRefused(
            "validation_share is 0: without a validation set nothing is watched or measured"
        )
    if sum(shares.values()) >= 1:
        raise TrainingRefused("validation_share and test_share leave nothing to train on")
    if shares:
        pool = [number for number, side in enumerate(sides) if side in {None, "train"}]
        has_groups = items[pool[0]].group is not None
        deal = _by_group if has_groups else _by_class
        for number, side in zip(
            pool, deal([items[number] for number in pool], len(classes), shares, seed), strict=True
        ):
            sides[number] = side
    chosen: list[Side] = [side or "train" for side in sides]
    _check_classes(items, classes, chosen, shares if not is_given else {})
    _check_groups(items, chosen)
    return chosen


def _by_class(items: Sequence[Item], class_count: int, shares: dict[Side, float], seed: int) -> list[Side]:
    sides: list[Side] = ["train"] * len(items)
    for index in range(class_count):
        mine = [number for number, item in enumerate(items) if item.class_index == index]
        mine.sort(key=lambda number: (_order(seed, items[number].digest), number))
        counts = {side: max(1, round(share * len(mine))) for side, share in shares.items() if share}
        while sum(counts.values()) >= len(mine) and max(counts.values()) > 1:
            counts[max(counts, key=lambda side: counts[side])] -= 1  # something must be left to train on
        start = 0
        for side, count in counts.items():
            end = start + count
            # A copy of the last picture goes with it, so that no picture stands on two sides.
            while start < end < len(mine) and items[mine[end]].digest == items[mine[end - 1]].digest:
                end += 1
            for number in mine[start:end]:
                sides[number] = side
            start = end
    return sides


def _order(seed: int, digest: str) -> str:
    return hashlib.sha256(f"{seed}/{digest}".encode()).hexdigest()


def orders_of(group_count: int) -> int:
    """How many orders are tried."""
    return max(1, min(ATTEMPTS, DEALT // group_count))


def _by_group(items: Sequence[Item], class_count: int, shares: dict[Side, float], seed: int) -> list[Side]:
    """The best of many ways to deal whole groups: every class on every side first, then sizes near the shares."""
    counts: dict[str, Counter[int]] = {}
    for item in items:
        counts.setdefault(item.group or "", Counter())[item.class_index] += 1
    wanted: dict[Side, float] = {
        "train": 1.0 - sum(shares.values()),
        **{s: v for s, v in shares.items() if v},
    }
    totals = Counter(item.class_index for item in items)
    chance = random.Random(seed)  # noqa: S311 - a reproducible order, not a secret
    best: tuple[tuple[int, float], dict[str, Side]] | None = None
    for _ in range(orders_of(len(counts))):
        names = sorted(counts)
        chance.shuffle(names)
        dealt: dict[str, Side] = {}
        have: dict[Side, Counter[int]] = {side: Counter() for side in wanted}
        for name in names:
            side = max(wanted, key=lambda side: _need(have[side], counts[name], totals, wanted[side]))
            dealt[name] = side
            have[side].update(counts[name])
        empty = sum(not have[side][index] for side in wanted for index in range(class_count))
        error = sum(
            abs(have[side][index] / totals[index] - share)
            for side, share in wanted.items()
            for index in range(class_count)
        )
        if best is None or (empty, error) < best[0]:
            best = (empty, error), dealt
    if best is None:  # pragma: no cover - there is always an attempt
        raise AssertionError
    return [best[1][item.group or ""] for item in items]


def _need(have: Counter[int], group: Counter[int], totals: Counter[int], share: float) -> float:
    """How much of what the group holds this side still lacks, as a share of what it should have."""
    return sum(
        count * (share * totals[index] - have[index]) / (share * totals[index])
        for index, count in group.items()
    )


def _check_classes(
    items: Sequence[Item], classes: Sequence[str], sides: Sequence[Side], shares: dict[Side, float]
) -> None:
    wanted = {"train", "validation", *(side for side, share in shares.items() if share), *sides}
    counts = Counter((side, item.class_index) for side, item in zip(sides, items, strict=True))
    for side in (each for each in SIDES if each in wanted):
        for index, name in enumerate(classes):
            if counts[side, index]:
                continue
            mine = [item for item in items if item.class_index == index]
            groups = sorted({item.group for item in mine if item.group is not None})
            if groups:
                listed = ", ".join(groups[:5]) + (f" and {len(groups) - 5} more" if len(groups) > 5 else "")
                why = (
                    f"its {len(mine)} pictures are all of the group{'s' if len(groups) > 1 else ''} {listed}. A class needs "
                    "a group of its own for every side: photograph more, or group by something else"
                )
            else:
                why = f"it has {len(mine)} readable pictures in all; add some, or set test_share = 0.0"
            raise TrainingRefused(f"the side {side} would hold no picture of class `{name}`: {why}")


def _check_groups(items: Sequence[Item], sides: Sequence[Side]) -> None:
    where: dict[str, set[Side]] = {}
    for item, side in zip(items, sides, strict=True):
        if item.group is not None:
            where.setdefault(item.group, set()).add(side)
    if parted := sorted(group for group, found in where.items() if len(found) > 1):
        raise TrainingRefused(
            f"the folder puts pictures of one group on two sides: {', '.join(parted[:5])}; "
            "give one folder of classes and let --group-by split it, or leave out --group-by"
        )
