"""Folders as people have them: sides, classes, groups, damage."""

import os
import unicodedata
from pathlib import Path

import pytest
from PIL import Image
from support.pictures import picture_file

from app.domain import Geometry, Resize, Size
from app.errors import InvalidRequest, TrainingRefused
from app.evaluation.groups import grouping
from app.training.folder import list_folder
from app.training.pictures import Pictures

SIZE = Size(8, 8)


def put(folder: Path, *names: str, data: bytes = b"x") -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def test_class_folders_are_sorted_as_text_and_other_files_are_no_pictures(tmp_path: Path) -> None:
    listed = list_folder(
        put(tmp_path, "2/a.jpg", "10/b.PNG", "10/Thumbs.db", "10/.hidden.jpg", "1/deep/c.tif")
    )

    assert listed.classes == ("1", "10", "2")
    assert [(file.name, file.class_index, file.side) for file in listed.files] == [
        ("1/deep/c.tif", 0, None), ("10/b.PNG", 1, None), ("2/a.jpg", 2, None),
    ]  # fmt: skip


@pytest.mark.parametrize("hidden", [".@__thumb", ".ipynb_checkpoints", "@eaDir"])
def test_copies_that_a_program_hid_are_no_pictures(hidden: str, tmp_path: Path) -> None:
    """At any depth, and beside the class folders."""
    folder = put(tmp_path, "a/1.jpg", "a/day 2/2.jpg", "b/3.jpg")
    put(
        tmp_path,
        f"a/{hidden}/1.jpg",
        f"a/day 2/{hidden}/deep/2.jpg",
        f"b/{hidden}/3.jpg",
        f"{hidden}/a/1.jpg",
    )

    listed = list_folder(folder)

    assert [file.name for file in listed.files] == ["a/1.jpg", "a/day 2/2.jpg", "b/3.jpg"]
    assert listed.passed_over == ()


def test_a_linked_folder_is_followed_once_and_never_upwards(tmp_path: Path) -> None:
    folder = put(tmp_path / "all", "a/1.jpg", "b/2.jpg")
    put(tmp_path / "days", "monday/3.jpg", "monday/more/4.jpg")
    (folder / "a" / "monday").symlink_to(tmp_path / "days" / "monday")
    (folder / "a" / "again").symlink_to(tmp_path / "days" / "monday")
    (tmp_path / "days" / "monday" / "circle").symlink_to(tmp_path / "days" / "monday")
    (folder / "b" / "everything").symlink_to(folder)

    listed = list_folder(folder)

    assert [file.name for file in listed.files] == [
        "a/1.jpg",
        "a/again/3.jpg",
        "a/again/more/4.jpg",
        "b/2.jpg",
    ]


def test_what_is_passed_over_is_said(tmp_path: Path) -> None:
    folder = put(
        tmp_path, "a/1.jpg", "a/2.gif", "a/deep/3.GIF", "a/4.jfif", "a/Thumbs.db", "b/5.jpg", "6.png"
    )

    assert list_folder(folder).passed_over == (
        "passed over in class folders: 2 .gif, 1 .jfif",
        "passed over beside the class folders: 1 pictures (6.png)",
    )


def test_hangul_that_macos_took_apart_is_the_class_that_is_meant(tmp_path: Path) -> None:
    apart = [unicodedata.normalize("NFD", name) for name in ("수", "암")]
    folder = put(
        tmp_path, f"train/{apart[0]}/1.jpg", f"train/{apart[1]}/2.jpg", "val/수/3.jpg", "val/암/4.jpg"
    )

    for listed in (list_folder(folder), list_folder(folder, ("암", "수"))):
        shown = {file.name: listed.classes[file.class_index] for file in listed.files}
        assert sorted(shown.values()) == ["수", "수", "암", "암"]
        assert shown["val/수/3.jpg"] == "수"
        assert set(listed.classes) == {"수", "암"}


@pytest.mark.parametrize("name", [b"a/b\xbc\xf6.jpg", b"a\xbc\xf6/1.jpg"], ids=["file", "folder"])
def test_a_name_that_is_no_utf_8_is_refused_before_anything_is_read(name: bytes, tmp_path: Path) -> None:
    """A bundle's files could not hold it."""
    put(tmp_path, "a/1.jpg", "b/1.jpg", os.fsdecode(name))

    with pytest.raises(TrainingRefused, match=r"\\udcbc\\udcf6.*no UTF-8"):
        list_folder(tmp_path)


KAGGLE = ("training_set/cat/1.jpg", "training_set/dog/2.jpg", "test_set/cat/3.jpg", "test_set/dog/4.jpg")


def test_sides_by_another_name_are_not_taken_for_classes(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingRefused, match=r"test_set, training_set all hold the same folders \(cat, dog\)"
    ):
        list_folder(put(tmp_path, *KAGGLE))


def test_classes_with_the_same_folders_in_each_are_classes_where_that_is_said(tmp_path: Path) -> None:
    """Or where something shows it: other folders in one, or pictures beside them."""
    names = ("test_set", "training_set")
    assert len(list_folder(put(tmp_path / "said", *KAGGLE), names).files) == 4
    assert list_folder(put(tmp_path / "day", *KAGGLE, "test_set/ape/5.jpg")).classes == names
    assert list_folder(put(tmp_path / "loose", *KAGGLE, "test_set/5.jpg")).classes == names


def test_sides_are_known_by_their_usual_names(tmp_path: Path) -> None:
    listed = list_folder(put(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "Val/a/2.jpg", "Val/b/2.jpg"))

    assert [(file.name, file.side) for file in listed.files] == [
        ("Val/a/2.jpg", "validation"), ("Val/b/2.jpg", "validation"), ("train/a/1.jpg", "train"), ("train/b/1.jpg", "train"),
    ]  # fmt: skip


def test_the_given_order_of_classes_is_kept(tmp_path: Path) -> None:
    folder = put(tmp_path, "castrate/1.jpg", "boar/1.jpg")

    assert list_folder(folder, ("castrate", "boar")).classes == ("castrate", "boar")


@pytest.mark.parametrize(
    ("names", "classes", "words"),
    [
        (["a/1.jpg"], (), "two or more"),
        (["a/1.jpg", "b/notes.txt"], (), "class `b` has no pictures"),
        (["a/1.jpg", "b/1.jpg", "c/1.jpg"], ("a", "b"), "folders c are in no class"),
        (["a/1.jpg", "b/1.jpg"], ("a", "b", "c"), "no folder for c"),
        (["train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg"], (), "no folder for b"),
        (["train/a/1.jpg", "train/b/1.jpg", "extra/c/1.jpg"], (), "beside train/ lies extra/"),
        (["train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "valid/a/1.jpg"], (), "the same side"),
    ],
)
def test_folders_that_cannot_be_meant_are_refused(
    names: list[str], classes: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    with pytest.raises(TrainingRefused, match=words):
        list_folder(put(tmp_path, *names), classes)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingRefused, match="not a folder"):
        list_folder(tmp_path / "nowhere")


def with_tags(tags: dict[int, str], file_format: str) -> bytes:
    exif = Image.Exif()
    exif.update(tags)
    return picture_file(0, file_format, exif=exif.tobytes())


@pytest.mark.parametrize(
    ("group_by", "name", "data", "group"),
    [
        ("day", "a/1.tif", with_tags({306: "2020:02:10 09:30:00"}, "TIFF"), "2020-02-10"),
        ("day", "a/1.jpg", with_tags({306: "2020:02:10 09:30:00"}, "JPEG"), "2020-02-10"),
        ("day", "a/2021-07-17/1.jpg", with_tags({306: "2020:02:10 09:30:00"}, "JPEG"), "2020-02-10"),
        ("day", "a/IMG_20200717_0001.jpg", picture_file(0), "2020-07-17"),
        ("day", "2020-07-17/a.jpg", b"no picture at all", "2020-07-17"),
        ("day", "a/20201799.jpg", picture_file(0), None),
        ("camera", "a/1.jpg", with_tags({271: "Basler", 272: "acA2440"}, "JPEG"), "Basler acA2440"),
        ("camera", "a/line3_Cam-02_0001.png", picture_file(0, "PNG"), "cam02"),
        ("camera", "a/camel.png", picture_file(0, "PNG"), None),
        (r"pig(\d+)_", "a/pig0042_left.jpg", b"", "0042"),
        (r"(left|right)_(?P<group>\d+)", "a/left_7.jpg", b"", "7"),
        (r"lot\w", "b/lotA/1.jpg", b"", "lotA"),
        (r"lot\w", "b/1.jpg", b"", None),
    ],
)  # fmt: skip
def test_groups_are_read_from_metadata_then_from_the_name(
    group_by: str, name: str, data: bytes, group: str | None
) -> None:
    group_of = grouping(group_by)

    assert group_of is not None
    assert group_of(name, data) == group


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="regular expression"):
        grouping("(day")


@pytest.mark.parametrize("cache", [0, 2**20])
def test_damaged_pictures_are_told_apart_and_the_rest_come_in_order(cache: int, tmp_path: Path) -> None:
    """Whether they are kept or decoded again, the pixels are those of the server's own geometry."""
    for number in range(5):
        put(tmp_path, f"{'ab'[number % 2]}/{number}.jpg", data=picture_file(number))
    put(tmp_path, "a/broken.jpg", data=picture_file(9)[:300])
    files = list_folder(tmp_path).files

    heard = []
    with Pictures(
        files, Geometry((Resize(SIZE, "bilinear"),)), SIZE, max_pixels=10**6, threads=2, max_cache_bytes=cache
    ) as pictures:
        reads = pictures.read_all(None, heard.append)
        good = [number for number, read in enumerate(reads) if read.damage is None]
        seen = list(pictures.batches([[good[1], good[0]], [good[4]]]))  # type: ignore[list-item]

    assert heard == [1, 2, 3, 4, 5, 6]
    assert [read.file.name for read in reads if read.damage] == ["a/broken.jpg"]
    for indices, pixels in seen:
        for index, image in zip(indices, pixels, strict=True):
            with Image.open(files[index].path) as original:
                assert (image == original.resize((8, 8), Image.Resampling.BILINEAR)).all()
