"""Pictures that a bundle was trained on are known again by their bytes."""

from pathlib import Path

import pytest

from app.evaluation.origins import Met, met_before, sides_of


def split_of(bundle: Path, *rows: str) -> Path:
    (bundle / "training").mkdir(parents=True)
    lines = ["file,class,side,group,sha256,damage", *rows]
    (bundle / "training" / "split.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return bundle


def test_copies_are_counted_by_the_worst_side_they_stood_on(tmp_path: Path) -> None:
    bundle = split_of(
        tmp_path, "a,boar,train,,aa,", "b,boar,validation,,bb,", "c,boar,validation,,aa,", "d,boar,test,,dd,"
    )

    assert met_before(sides_of(bundle), ("aa", "bb", "dd", "ee", "aa")) == Met(trained_on=2, chosen_by=1)


@pytest.mark.parametrize("name", ["nothing", "binary"])
def test_a_bundle_that_lists_nothing_says_nothing(name: str, tmp_path: Path) -> None:
    if name == "binary":
        split_of(tmp_path)
        (tmp_path / "training" / "split.csv").write_bytes(b"\xff\xfe\x00")

    assert sides_of(tmp_path) == {}
