"""What tells classes apart besides the animal."""

from pathlib import Path

import pytest
from PIL import Image

from app.errors import UnreadableImage
from app.evaluation.facts import name_pattern, read_facts
from app.evaluation.labelled import read_labelled
from app.evaluation.shortcuts import Association, associations

CLASSES = ("castrate", "boar", "female")


def photograph(path: Path, day: str, *, size: tuple[int, int] = (32, 24), camera: str = "") -> None:
    """A TIFF or JPEG with the tags a camera writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", size, (200, 150, 140))
    tags = Image.Exif()
    tags[306] = f"{day.replace('-', ':')} 10:00:00"
    if camera:
        tags[272] = camera
    picture.save(path, exif=tags)


def audited(folder: Path) -> dict[str, Association]:
    items = read_labelled(folder, CLASSES).items
    facts, failures = read_facts(items, folder, CLASSES, max_bytes=10**6, threads=2)
    assert not failures
    return {each.fact: each for each in associations(facts, CLASSES)}


def test_a_class_with_a_day_of_its_own_is_named_with_both_days(tmp_path: Path) -> None:
    for name in CLASSES:
        for number in range(6):
            day = "2020-02-10" if name == "boar" else "2020-07-17"
            photograph(tmp_path / name / f"{number}.jpg", day)

    found = audited(tmp_path)["day"]

    assert found.strength == "confounded"
    assert found.table.counts.tolist() == [[0, 6], [6, 0], [0, 6]]
    [separation] = found.separations
    assert (separation.class_name, separation.groups, separation.others) == (
        "boar",
        ("2020-02-10",),
        ("2020-07-17",),
    )


def test_days_that_every_class_shares_are_no_shortcut(tmp_path: Path) -> None:
    for name in CLASSES:
        for number in range(6):
            photograph(tmp_path / name / f"{number}.jpg", f"2020-02-{10 + number % 2}")

    found = audited(tmp_path)

    assert found["day"].strength == "none"
    assert found["day"].separations == ()
    assert found["file_kind"].strength == "single"


def test_pictures_that_say_no_day_are_a_group_too(tmp_path: Path) -> None:
    """Whether there is metadata may itself tell the class."""
    for number in range(8):
        photograph(tmp_path / "boar" / f"{number}.jpg", "2020-02-10")
        (tmp_path / "female").mkdir(exist_ok=True)
        Image.new("RGB", (32, 24)).save(tmp_path / "female" / f"{number}.jpg")

    assert audited(tmp_path)["day"].separations[0].others == ("-",)


def test_size_and_format_of_the_files_are_compared(tmp_path: Path) -> None:
    for number in range(8):
        photograph(tmp_path / "boar" / f"{number}.jpg", "2020-02-10")
        photograph(tmp_path / "female" / f"{number}.jpg", "2020-02-10", size=(48, 24))

    found = audited(tmp_path)["file_kind"]

    assert found.table.columns == ("JPEG 32 x 24", "JPEG 48 x 24")
    assert found.strength == "confounded"


def test_few_pictures_of_as_many_days_prove_nothing(tmp_path: Path) -> None:
    for place, name in enumerate(CLASSES):
        for number in range(3):
            photograph(tmp_path / name / f"{number}.jpg", f"2020-0{1 + place}-1{number}")

    found = audited(tmp_path)["day"]

    assert found.strength == "none"
    assert found.separations == ()


@pytest.mark.parametrize(
    ("stem", "pattern"),
    [("IMG_0012", "IMG_#"), ("Boar-2020-02-10_003", "<class>-#-#-#_#"), ("거세 12", "<class> #")],
)
def test_names_are_compared_without_numbers_and_classes(stem: str, pattern: str) -> None:
    assert name_pattern(stem, ["castrate", "boar", "거세"]) == pattern


def test_a_file_that_is_no_picture_is_listed(tmp_path: Path) -> None:
    photograph(tmp_path / "boar" / "0.jpg", "2020-02-10")
    (tmp_path / "boar" / "1.jpg").write_bytes(b"no picture")
    items = read_labelled(tmp_path, CLASSES).items

    facts, failures = read_facts(items, tmp_path, CLASSES, max_bytes=10**6, threads=1)

    assert len(facts) == 1
    assert isinstance(failures[0].error, UnreadableImage)


def test_what_the_class_folder_is_called_says_no_camera_and_no_day(tmp_path: Path) -> None:
    """Only what lies below it can tell classes apart by accident."""
    for name in ("cam 1", "2020-07-17 boars"):
        for number in range(4):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.new("RGB", (32, 24)).save(tmp_path / name / f"{number}.png")
    items = read_labelled(tmp_path, ("cam 1", "2020-07-17 boars")).items

    facts, _ = read_facts(items, tmp_path, ("cam 1", "2020-07-17 boars"), max_bytes=10**6, threads=1)

    assert {(each.of("day"), each.of("camera")) for each in facts} == {(None, None)}
