"""Folders as people have them: sides, classes, groups, damage."""

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
        ("camera", "a/camel.png", picture_file(0, "PNG"), "camel"),
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
    assert pictures.are_kept is bool(cache)
    assert [read.file.name for read in reads if read.damage] == ["a/broken.jpg"]
    for indices, pixels in seen:
        for index, image in zip(indices, pixels, strict=True):
            with Image.open(files[index].path) as original:
                assert (image == original.resize((8, 8), Image.Resampling.BILINEAR)).all()
