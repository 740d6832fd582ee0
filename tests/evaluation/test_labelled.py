"""Class folders as people make them."""

import os
import unicodedata
from pathlib import Path

import pytest

from app.errors import InvalidRequest
from app.evaluation.labelled import LabelledItem, read_labelled, spread

CLASSES = ("castrate", "boar", "female")
DISPLAY = {"ko": {"castrate": "거세", "boar": "수", "female": "암"}}


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def found(folder: Path) -> list[tuple[str, int]]:
    items = read_labelled(folder, CLASSES, DISPLAY).items
    return [(item.path.relative_to(folder).as_posix(), item.class_index) for item in items]


def test_folders_are_classes_at_any_depth(tmp_path: Path) -> None:
    touch(tmp_path / "boar" / "day 2" / "b.TIF", tmp_path / "boar" / "a.jpg", tmp_path / "female" / "c.png")
    touch(
        tmp_path / "boar" / "notes.txt", tmp_path / "boar" / ".cache" / "d.png", tmp_path / ".git" / "e.png"
    )

    assert found(tmp_path) == [("boar/a.jpg", 1), ("boar/day 2/b.TIF", 1), ("female/c.png", 2)]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_display_labels_are_accepted_as_any_system_spells_them(form: str, tmp_path: Path) -> None:
    """macOS takes Hangul apart."""
    folder = tmp_path / unicodedata.normalize(form, "암")
    touch(folder / "a.jpg")

    [item] = read_labelled(tmp_path, CLASSES, DISPLAY).items

    assert item.class_index == 2


def test_a_name_wins_over_a_label_and_a_shared_label_is_none(tmp_path: Path) -> None:
    touch(tmp_path / "boar" / "a.jpg")
    display = {"ko": {"castrate": "boar", "boar": "pig", "female": "pig"}}

    [item] = read_labelled(tmp_path, CLASSES, display).items

    assert item.class_index == 1
    touch(tmp_path / "pig" / "a.jpg")
    with pytest.raises(InvalidRequest, match="pig"):
        read_labelled(tmp_path, CLASSES, display)


def test_class_folders_one_level_further_down_are_pointed_at(tmp_path: Path) -> None:
    """A folder that was split for training."""
    touch(*(tmp_path / side / "boar" / "a.jpg" for side in ("train", "test")), tmp_path / "notes" / "b.txt")

    with pytest.raises(
        InvalidRequest, match=r"\(class folders lie in `test` and `train`: give one of these\)"
    ):
        read_labelled(tmp_path, CLASSES)


def test_an_unknown_folder_is_refused_with_the_names_that_exist(tmp_path: Path) -> None:
    touch(tmp_path / "boars" / "a.jpg", tmp_path / "female" / "b.jpg")

    with pytest.raises(InvalidRequest) as refused:
        read_labelled(tmp_path, CLASSES, DISPLAY)

    assert "`boars`" in refused.value.message
    assert "did you mean `boar`?" in refused.value.message
    assert "`castrate`, `boar` and `female`" in refused.value.message


def test_no_folder_and_no_picture_say_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="above the class folders"):
        read_labelled(tmp_path / "none", CLASSES)
    (tmp_path / "boar").mkdir()
    with pytest.raises(InvalidRequest, match="no pictures"):
        read_labelled(tmp_path, CLASSES)


def test_pictures_beside_the_folders_are_noted(tmp_path: Path) -> None:
    touch(tmp_path / "boar" / "a.jpg", tmp_path / "loose.jpg")

    labelled = read_labelled(tmp_path, CLASSES)

    assert len(labelled.items) == 1
    assert "loose.jpg" in labelled.notes[0]


def test_a_part_is_spread_over_classes_and_over_each_class() -> None:
    """Every beginning is balanced, and a small class gives all that it has."""
    items = [
        LabelledItem(Path(f"{index}-{n}"), index)
        for index, count in enumerate((20, 2, 9))
        for n in range(count)
    ]

    some = spread(items, 11)

    assert [item.class_index for item in some] == [0, 1, 2, 0, 1, 2, 0, 2, 0, 2, 0]
    assert [item.path.name for item in some if item.class_index == 0] == ["0-0", "0-4", "0-8", "0-12", "0-16"]
    assert len(spread(items, 1000)) == len(set(spread(items, 1000))) == 31


def test_a_name_that_is_no_utf_8_is_refused_with_the_fix(tmp_path: Path) -> None:
    """As an archive from a Korean Windows leaves them; no report could write it."""
    (tmp_path / "boar").mkdir()
    (tmp_path / "boar" / os.fsdecode("수.jpg".encode("euc-kr"))).write_bytes(b"")

    with pytest.raises(
        InvalidRequest, match=r"boar/\\udcbc\\udcf6\.jpg: the name is no UTF-8.*convmv"
    ) as refused:
        read_labelled(tmp_path, ["boar"])

    refused.value.message.encode()


def test_what_a_program_hid_counts_nowhere_and_a_linked_folder_does(tmp_path: Path) -> None:
    """As for training: thumbnails beside their pictures would be measured twice."""
    kept = tmp_path / "elsewhere" / "day 1"
    for folder in (tmp_path / "set" / "boar" / "@eaDir", tmp_path / "set" / "boar" / ".@__thumb", kept):
        folder.mkdir(parents=True)
        (folder / "a.jpg").touch()
    (tmp_path / "set" / "boar" / "day 1").symlink_to(kept)

    items = read_labelled(tmp_path / "set", ("boar", "castrate")).items

    assert [item.path.relative_to(tmp_path / "set").as_posix() for item in items] == ["boar/day 1/a.jpg"]
