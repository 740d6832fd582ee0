"""`lineside audit`: of a folder alone, and of a bundle on it."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from support.bundles import CLASSES, write_random_bundle
from support.pictures import damaged_file, picture_file
from typer.testing import CliRunner

from app import __version__
from app.cli.audit import labelled_items
from app.cli.main import app
from app.errors import InvalidRequest


def command(*words: object) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, words)])


def found(*words: object) -> dict[str, Any]:
    result = command(*words, "--json")
    assert result.exit_code == 0, result.output
    loaded: dict[str, Any] = json.loads(result.stdout)
    return loaded


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    for index, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(8):
            day = "2020-02-10" if name == "boar" else "2020-07-17"
            (folder / name / f"{day}_{number}.jpg").write_bytes(picture_file(10 * index + number))
    return folder


def test_every_boar_was_photographed_on_another_day(carcass_photographs: list[Path]) -> None:
    """Of the fifteen photographs, from the folder alone."""
    audit = found(carcass_photographs[0].parent.parent)

    [warning] = [each["text"] for each in audit["findings"] if each["severity"] == "warning"]
    assert warning.startswith(
        "Every boar (5 pictures) was photographed on another day than every other picture: 2020-02-10; the others 2020-07-17."
    )
    assert audit["model"] is None
    assert audit["pictures"] == {"boar": 5, "castrate": 5, "female": 5}


def test_a_bundle_is_asked_and_the_page_is_written(pictures: Path, tmp_path: Path) -> None:
    write_random_bundle(tmp_path / "models", display={"ko": {"boar": "수"}})

    audit = found(
        "line", pictures, "--models", tmp_path / "models", "--device", "cpu", "--painted", 3,
        "--out", tmp_path / "out", "--language", "ko",
    )  # fmt: skip

    assert audit["model"] == "line/1"
    assert sum(group["count"] for group in audit["accuracy_by_group"] if group["fact"] == "day") == 24
    page = (tmp_path / "out" / "audit.html").read_text("utf-8")
    [warning] = [each["text"] for each in audit["findings"] if each["severity"] == "warning"]
    assert warning.startswith("수는 8장 모두 나머지 사진과 다른 날에 촬영되었습니다: 2020-02-10")
    assert warning in page
    assert json.loads((tmp_path / "out" / "audit.json").read_text("utf-8")) == audit
    assert audit["digest"][:19] in page
    assert (audit["lineside"], audit["created"]) == (__version__, time.strftime("%Y-%m-%d"))
    assert f"lineside {__version__}, {audit['created']}" in page
    assert "사진 24장" in page


def test_the_screen_shows_the_table_and_the_warning(pictures: Path) -> None:
    result = command(pictures)

    assert result.exit_code == 0, result.output
    assert "class and day: Cramér's V" in result.output
    assert "warning: Every boar" in result.output


def test_too_many_damaged_pictures_are_refused(pictures: Path) -> None:
    for number in range(3):
        (pictures / "boar" / f"broken{number}.jpg").write_bytes(damaged_file()[:20])

    result = command(pictures)

    assert isinstance(result.exception, InvalidRequest)
    assert "3 of 27 pictures (11.1%)" in result.exception.message
    out = pictures.parent / "out"
    assert found(pictures, "--max-damaged", 0.2, "--out", out)["failed"][0]["code"] == "unreadable_image"
    assert "broken2.jpg" in (out / "audit.html").read_text("utf-8")


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_without_classes_says_what_is_meant(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    result = command(tmp_path / name)

    assert isinstance(result.exception, InvalidRequest)
    assert "one folder for each class" in result.exception.message


def test_train_and_val_are_sides_and_no_classes(tmp_path: Path) -> None:
    """As `lineside finetune` takes the same folder."""
    for side in ("train", "val"):
        for index, name in enumerate(("boar", "female")):
            (tmp_path / side / name).mkdir(parents=True)
            for number in range(6):
                day = "2020-02-10" if name == "boar" else "2020-07-17"
                (tmp_path / side / name / f"{day}_{number}.jpg").write_bytes(
                    picture_file(10 * index + number)
                )

    audit = found(tmp_path)

    assert audit["pictures"] == {"boar": 12, "female": 12}
    assert any(each["text"].startswith("Every boar (12 pictures)") for each in audit["findings"])


def test_what_a_nas_put_beside_the_classes_is_no_class(pictures: Path) -> None:
    (pictures / "@eaDir" / "boar").mkdir(parents=True)
    (pictures / "@eaDir" / "boar" / "1.jpg").write_bytes(picture_file(1))

    assert found(pictures)["pictures"] == dict.fromkeys(sorted(CLASSES), 8)


def test_sides_may_hold_the_labels_of_a_bundle(tmp_path: Path) -> None:
    """As a folder without sides may."""
    classes, display = ("boar", "female"), {"ko": {"boar": "수", "female": "암"}}
    for place, name in enumerate(("train/수", "train/암", "val/female")):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "2020-02-10_1.jpg").write_bytes(picture_file(place))

    names, items, depth = labelled_items(tmp_path, classes, display)

    assert (names, depth) == (classes, 2)
    assert [(item.path.parent.name, item.class_index) for item in items] == [
        ("수", 0),
        ("암", 1),
        ("female", 1),
    ]


def test_views_on_two_sides_are_of_one_animal(pictures: Path, tmp_path: Path) -> None:
    """In `train/boar/x` and `val/boar/x`."""
    for side in ("train", "val"):
        shutil.copytree(pictures, tmp_path / "sides" / side)

    by_name = found(tmp_path / "sides", "--group-by", r"^(\w+/\S+)_\d")
    by_nothing = command(pictures, "--group-by", "carcass(.*)")

    assert [each["chance"] > 0.2 for each in by_name["associations"] if each["fact"] == "day"] == [True]
    assert isinstance(by_nothing.exception, InvalidRequest)
    assert "says a group" in by_nothing.exception.message


def test_sides_without_train_are_not_called_classes(tmp_path: Path) -> None:
    for side in ("val", "test"):
        (tmp_path / side / "boar").mkdir(parents=True)
        (tmp_path / side / "boar" / "1.jpg").write_bytes(picture_file(1))

    result = command(tmp_path)

    assert isinstance(result.exception, InvalidRequest)
    assert "only `test` and `val`" in result.exception.message
