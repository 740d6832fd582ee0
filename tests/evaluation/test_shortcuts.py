"""What tells classes apart besides the animal."""

from pathlib import Path

import pytest
from PIL import Image

from app.errors import UnreadableImage
from app.evaluation.audit import audit_folder
from app.evaluation.facts import PictureFacts, name_pattern, read_facts
from app.evaluation.groups import grouping
from app.evaluation.labelled import read_labelled
from app.evaluation.metrics import wilson_interval
from app.evaluation.predictions import Limits
from app.evaluation.shortcuts import Association, compared, scores_by_group
from app.reports.audit_words import findings

CLASSES = ("castrate", "boar", "female")


def photograph(
    path: Path, day: str, *, size: tuple[int, int] = (32, 24), camera: str = "", clock: str = "10:00:00"
) -> None:
    """A TIFF or JPEG with the tags a camera writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", size, (200, 150, 140))
    tags = Image.Exif()
    tags[306] = f"{day.replace('-', ':')} {clock}"
    if camera:
        tags[272] = camera
    picture.save(path, exif=tags)


def facts_of(folder: Path) -> list[PictureFacts]:
    items = read_labelled(folder, CLASSES).items
    facts, failures = read_facts(items, folder, CLASSES, max_bytes=10**6, threads=2)
    assert not failures
    return facts


def audited(folder: Path) -> dict[str, Association]:
    return {each.fact: each for each in compared(facts_of(folder), CLASSES)[0]}


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


def test_days_that_are_all_distinct_may_still_be_in_order(tmp_path: Path) -> None:
    """Boars in winter, castrates in summer, one a day: every group of the table holds one picture."""
    for number in range(15):
        photograph(tmp_path / "boar" / f"{number}.jpg", f"2020-02-{number + 1:02}")
        photograph(tmp_path / "castrate" / f"{number}.jpg", f"2020-07-{number + 1:02}")

    audit, _, _ = audit_folder(
        read_labelled(tmp_path, CLASSES).items, tmp_path, CLASSES, limits=Limits(10**6, 10**6), threads=1
    )

    [order] = [each for each in audit.orderings if each.amount == "date"]
    assert (order.class_name, order.count, order.share_above) == ("castrate", 15, 1.0)
    assert order.is_strong
    for language, said in (("en", "photographed on a later day"), ("ko", "더 늦은 날에")):
        assert [each.severity for each in findings(audit, language) if said in each.text] == ["warning"]


def test_sizes_that_are_all_distinct_may_still_be_in_order(tmp_path: Path) -> None:
    for number in range(12):
        photograph(tmp_path / "boar" / f"{number}.jpg", "2020-02-10", size=(200 + 2 * number, 100 + number))
        photograph(
            tmp_path / "castrate" / f"{number}.jpg", "2020-02-10", size=(100 + 2 * number, 50 + number)
        )

    orders = {each.amount: each for each in compared(facts_of(tmp_path), CLASSES)[1]}

    assert orders["width"].is_strong
    assert "shape" not in orders  # the same of all
    assert "date" not in orders


def test_times_of_day_are_in_order_though_the_days_are_not(tmp_path: Path) -> None:
    for number in range(12):
        day = f"2020-02-{number + 1:02}"
        photograph(tmp_path / "boar" / f"{number}.jpg", day, clock=f"08:{number:02}:00")
        photograph(tmp_path / "castrate" / f"{number}.jpg", day, clock=f"15:{number:02}:00")

    orders = {each.amount: each for each in compared(facts_of(tmp_path), CLASSES)[1]}

    assert orders["time"].is_strong
    assert not orders["date"].is_strong


def test_what_is_looked_at_besides_makes_an_accident_less_likely_to_be_believed(tmp_path: Path) -> None:
    """Seven of eight on one camera, two of eight: 0.04 by Fisher's test, one of several that were made."""
    for number in range(8):
        kind = {"size": (32, 24 + number % 3), "camera": "A" if number < 7 else "B"}
        photograph(tmp_path / "boar" / f"{number}.jpg", "2020-02-10", **kind)  # type: ignore[arg-type]
        kind = {"size": (32, 24 + number % 2), "camera": "A" if number < 2 else "B"}
        photograph(tmp_path / "female" / f"{number}.jpg", f"2020-02-{10 + number % 2}", **kind)  # type: ignore[arg-type]

    camera = audited(tmp_path)["camera"]

    assert camera.chance < 0.05 < camera.corrected
    assert camera.strength == "none"
    assert camera.separations == ()


def test_views_of_one_animal_are_one_accident(tmp_path: Path) -> None:
    """Four animals a class in six views, each taken on one of three days by accident, by one class earlier in the day."""
    for place, name in enumerate(CLASSES):
        for animal, day in enumerate(((1, 1, 2, 3), (2, 2, 2, 3), (1, 3, 3, 3))[place]):
            for view in range(6):
                photograph(
                    tmp_path / name / f"{name[0]}{animal}_v{view}.jpg",
                    f"2020-02-0{day}",
                    clock=f"{8 + place + animal:02}:00:{view:02}",
                )
    items = read_labelled(tmp_path, CLASSES).items

    def day_and_time(group_by: str) -> tuple[str, float]:
        facts, _ = read_facts(
            items, tmp_path, CLASSES, max_bytes=10**6, threads=1, group_of=grouping(group_by)
        )
        tables, orders = compared(facts, CLASSES)
        [time] = [each.corrected for each in orders if each.amount == "time"]
        return {each.fact: each.strength for each in tables}["day"], time

    assert day_and_time("none")[0] != "none"
    assert day_and_time("none")[1] < 0.05
    assert day_and_time(r"(\w+)_v")[0] == "none"
    assert day_and_time(r"(\w+)_v")[1] > 0.05


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


def test_an_accuracy_by_group_is_no_surer_than_its_animals_are_many(tmp_path: Path) -> None:
    """Two carcasses in twenty views each are two, not forty."""
    for number in range(40):
        photograph(tmp_path / "boar" / f"pig{number // 20}_{number}.jpg", f"2020-02-{10 + number % 2}")
    items = read_labelled(tmp_path, CLASSES).items
    alone, together = (
        read_facts(items, tmp_path, CLASSES, max_bytes=10**6, threads=1, group_of=grouping(by))[0]
        for by in ("none", r"(pig\d)_")
    )
    is_right = {str(item.path): True for item in items}

    assert {each.interval for each in scores_by_group(alone, is_right)} == {wilson_interval(20, 20)}
    assert {each.interval for each in scores_by_group(together, is_right)} == {wilson_interval(2, 2)}
