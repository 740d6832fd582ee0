"""Which picture stands where: nothing on two sides, every class on each, the same again with the same seed."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from training.runs import StopAt, run

from app.errors import TrainingRefused, TrainingStopped
from app.training.folder import Side
from app.training.split import Item, orders_of, split

CLASSES = ("boar", "castrate", "female")


def sides(items: list[Item], *, seed: int = 0, validation: float = 0.2, test: float = 0.2) -> list[Side]:
    return split(items, CLASSES, seed=seed, validation_share=validation, test_share=test)


def items(per_class: int, **more: object) -> list[Item]:
    return [Item(index, f"{index}-{number}", **more) for index in range(3) for number in range(per_class)]  # type: ignore[arg-type]


@example(count=4, seed=0, validation=0.375, test=0.375)
@given(
    count=st.integers(3, 40),
    seed=st.integers(0, 2**32 - 1),
    validation=st.floats(0.05, 0.45),
    test=st.floats(0.0, 0.45),
)
def test_every_class_is_cut_near_the_shares(count: int, seed: int, validation: float, test: float) -> None:
    cut = sides(items(count), seed=seed, validation=validation, test=test)

    counts = Counter(zip(cut, (item.class_index for item in items(count)), strict=True))
    for index in range(3):
        assert abs(counts["validation", index] - validation * count) <= 1
        assert abs(counts["test", index] - test * count) <= 1
        assert counts["train", index] >= 1


def test_a_seed_decides_and_the_order_of_the_files_does_not() -> None:
    some = items(20)

    assert sides(some) == sides(some)
    assert sides(some) != sides(some, seed=1)
    assert dict(zip([i.digest for i in some[::-1]], sides(some[::-1]), strict=True)) == dict(
        zip([i.digest for i in some], sides(some), strict=True)
    )


def test_exact_copies_are_never_parted() -> None:
    """Shares that would cut between two copies."""
    some = [item for item in items(10) for _ in range(3)]

    cut = sides(some, validation=0.15, test=0.15)

    assert all(len(set(cut[at : at + 3])) == 1 for at in range(0, len(some), 3))


def test_a_group_never_stands_on_two_sides_and_every_side_has_every_class() -> None:
    some = [
        Item(index, f"{day}-{index}-{n}", group=f"day {day}")
        for day in range(8)
        for index in range(3)
        for n in range(5)
    ]

    cut = sides(some)

    where: dict[str | None, set[Side]] = {}
    for item, side in zip(some, cut, strict=True):
        where.setdefault(item.group, set()).add(side)
    assert all(len(found) == 1 for found in where.values())
    assert len(set(zip(cut, (item.class_index for item in some), strict=True))) == 9


def test_groups_are_dealt_so_that_rare_classes_reach_every_side() -> None:
    """Only three of nine days have boars; a greedy order alone would often put two on one side."""
    some = [Item(1 + n % 2, f"{day}-{n}", group=f"{day}") for day in range(9) for n in range(6)]
    some += [Item(0, f"boar {day}", group=f"{day}") for day in (1, 4, 6)]

    cut = sides(some)

    assert {side for item, side in zip(some, cut, strict=True) if item.class_index == 0} == {
        "train",
        "validation",
        "test",
    }


@pytest.mark.parametrize(("groups", "orders"), [(12, 300), (1000, 300), (16_000, 18), (500_000, 1)])
def test_of_very_many_groups_few_orders_are_tried(groups: int, orders: int) -> None:
    """16,000 animals in three views took minutes."""
    assert orders_of(groups) == orders


def test_a_class_of_one_day_cannot_be_split_by_day_and_the_message_says_so() -> None:
    some = [Item(0, f"b{n}", group="2020-02-10") for n in range(5)]
    some += [Item(index, f"{index}-{n}", group=f"2020-07-{17 + n}") for index in (1, 2) for n in range(5)]

    with pytest.raises(TrainingRefused, match=r"no picture of class `boar`.*2020-02-10"):
        sides(some)


def test_a_side_without_a_class_is_refused() -> None:
    with pytest.raises(TrainingRefused, match="no picture of class"):
        sides(items(2))


def test_what_the_folder_put_in_place_stays_there() -> None:
    some = items(3, side="train") + items(2, side="validation")

    assert sides(some) == ["train"] * 9 + ["validation"] * 6


def test_a_folder_without_a_validation_side_gives_part_of_its_training_side() -> None:
    some = items(10, side="train") + items(2, side="test")

    assert Counter(sides(some)) == {"train": 24, "validation": 6, "test": 6}


def test_a_folder_that_parts_a_group_is_refused() -> None:
    some = items(3, side="train", group="cam1") + items(3, side="validation", group="cam1")

    with pytest.raises(TrainingRefused, match="two sides: cam1"):
        sides(some)


def sided(folder: Path) -> Path:
    """Two classes of carcasses in four views each, the fourth view of every one of them in val/."""
    chance = np.random.default_rng(0)
    for name in ("a", "b"):
        for number in range(12):
            side = "val" if number % 4 == 3 else "train"
            (folder / side / name).mkdir(parents=True, exist_ok=True)
            pixels = chance.integers(0, 255, (8, 8), np.uint8)
            Image.fromarray(pixels).save(folder / side / name / f"{name}{number // 4}_v{number % 4}.png")
    return folder


def test_a_group_on_two_sides_is_seen_also_where_the_expression_takes_in_the_path(tmp_path: Path) -> None:
    """`train/a/a0` and `val/a/a0` are one carcass."""
    with pytest.raises(TrainingRefused, match="two sides: a/a0, a/a1"):
        run(sided(tmp_path / "views"), tmp_path / "work", data__group_by=r"^(.*)_v\d")


@pytest.mark.parametrize(
    ("group_by", "groups", "is_warned"),
    [(r"/(.)\d_v", 2, False), (r"([ab]\d)_v", 6, False), (r"(\w+)\.png", 24, True)],
)
def test_how_many_groups_there_are_is_told(
    group_by: str, groups: int, is_warned: bool, tmp_path: Path
) -> None:
    """An expression that tells every picture apart keeps nothing together."""
    folder = sided(tmp_path / "views")
    for path in (folder / "val").rglob("*.png"):
        path.rename(folder / "train" / path.parent.name / path.name)
    watcher = StopAt(0)

    with pytest.raises((TrainingStopped, TrainingRefused)):
        run(folder / "train", tmp_path / "work", watcher, data__group_by=group_by)

    assert f"{groups} groups over 24 pictures" in watcher.said
    assert any("nearly every picture is a group" in line for line in watcher.said) is is_warned


@pytest.mark.parametrize(("validation", "test"), [(0.0, 0.2), (0.6, 0.5)])
def test_shares_that_leave_a_side_empty_are_refused(validation: float, test: float) -> None:
    with pytest.raises(TrainingRefused, match="validation_share"):
        sides(items(10), validation=validation, test=test)
