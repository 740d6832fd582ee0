import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.bundles.comparison import compare
from app.bundles.golden import GoldenPicture, read_golden, write_golden
from app.errors import ManifestInvalid

CLASSES = ("castrate", "boar", "female")
PICTURES = (
    GoldenPicture("boar-0001.jpg", b"picture one", np.float32([0.1, 1 / 3, -2e-30]), "boar"),
    GoldenPicture("암-2.png", b"picture two", [3.0, 2.0, 1.0]),
)


def write(folder: Path, pictures: tuple[GoldenPicture, ...] = PICTURES) -> None:
    write_golden(folder, classes=CLASSES, made_with={"torch": "2.10.0"}, pictures=pictures)


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "golden" / "golden.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "images": [{**record["images"][0], **changes}]}))


def refusal(folder: Path) -> str:
    with pytest.raises(ManifestInvalid) as caught:
        read_golden(folder, CLASSES)
    return caught.value.message


def test_what_was_recorded_is_read_back_to_the_bit(tmp_path: Path) -> None:
    write(tmp_path)

    golden = read_golden(tmp_path, CLASSES)

    assert golden is not None
    assert golden.made_with == {"torch": "2.10.0"}
    assert [image.file for image in golden.images] == ["boar-0001.jpg", "암-2.png"]
    assert [image.class_name for image in golden.images] == ["boar", None]
    assert [golden.read(image) for image in golden.images] == [b"picture one", b"picture two"]
    assert golden.logits().dtype == np.float32
    assert golden.logits().tobytes() == np.float32([[0.1, 1 / 3, -2e-30], [3, 2, 1]]).tobytes()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_every_finite_float32_survives_the_text(tmp_path_factory: Any, data: st.DataObject) -> None:
    logits = data.draw(
        arrays(np.float32, 3, elements=st.floats(width=32, allow_nan=False, allow_infinity=False))
    )
    folder = tmp_path_factory.mktemp("bundle")

    golden = write_golden(
        folder, classes=CLASSES, made_with={}, pictures=[GoldenPicture("a.png", b"a", logits)]
    )

    assert golden.logits()[0].tobytes() == logits.tobytes()


def test_a_bundle_without_the_folder_has_no_golden_images(tmp_path: Path) -> None:
    assert read_golden(tmp_path, CLASSES) is None


def test_a_folder_without_its_record_is_refused_not_skipped(tmp_path: Path) -> None:
    (tmp_path / "golden").mkdir()

    assert "`golden/golden.json` is not in the bundle's folder" in refusal(tmp_path)


def test_a_picture_that_was_replaced_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "golden" / "boar-0001.jpg").write_bytes(b"another picture")

    assert "`golden/boar-0001.jpg` is not the picture" in refusal(tmp_path)


def test_a_picture_that_is_missing_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "golden" / "boar-0001.jpg").unlink()

    assert "`golden/boar-0001.jpg` is not in the bundle's folder" in refusal(tmp_path)


def test_a_picture_may_not_be_a_link_out_of_the_bundle(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    write(bundle)
    picture = bundle / "golden" / "boar-0001.jpg"
    picture.rename(tmp_path / "elsewhere.jpg")
    picture.symlink_to(tmp_path / "elsewhere.jpg")

    assert "leaves the bundle's folder" in refusal(bundle)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file": "../model.toml"}, 'images[0].file is "../model.toml": write the plain name'),
        ({"file": "golden.json"}, "this name is taken"),
        ({"logits": [1.0, 2.0]}, "`boar-0001.jpg` has 2 logits, the manifest has 3 classes"),
        ({"logits": [1.0, 2.0, float("nan")]}, "images[0].logits[2] is nan"),
        ({"logits": [1.0, 2.0, 1e39]}, "images[0].logits[2] is a very large number"),
        ({"logits": [1.0, 2.0, "3"]}, 'images[0].logits[2] is "3"'),
        ({"class": "bore"}, "`bore` of `boar-0001.jpg` is not a class; did you mean `boar`?"),
        ({"sha256": "0" * 63}, "images[0].sha256 is"),
        ({"sha265": ""}, "unknown key `sha265` in images[0]; did you mean `sha256`?"),
    ],
)
def test_a_record_that_is_wrong_names_what_is(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    write(tmp_path)
    edit(tmp_path, **changes)

    assert message in refusal(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": 2, "made_with": {}, "images": []}',
        "[" * 100_000,
        "9" * 5000,
        "\ud800",
    ],
)
def test_a_record_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path)
    (tmp_path / "golden" / "golden.json").write_bytes(text.encode(errors="surrogatepass"))

    assert refusal(tmp_path).startswith("golden/golden.json")


@pytest.mark.parametrize(
    "picture",
    [
        GoldenPicture("../a.png", b"a", [1, 2, 3]),
        GoldenPicture("a.png", b"a", [1, 2]),
        GoldenPicture("a.png", b"a", [1, 2, np.inf]),
        GoldenPicture("a.png", b"a", [1, 2, 3], "bore"),
        GoldenPicture("BOAR-0001.jpg", b"a", [1, 2, 3]),
    ],
)
def test_nothing_is_written_where_one_picture_is_wrong(tmp_path: Path, picture: GoldenPicture) -> None:
    with pytest.raises(ManifestInvalid):
        write(tmp_path, (*PICTURES, picture))

    assert list(tmp_path.iterdir()) == []


def test_the_same_logits_hold() -> None:
    logits = np.float32([[2, 1, 0], [0, 5, 0]])

    report = compare(logits, logits + 7, 0.02, ("a.jpg", "b.jpg"))  # a constant changes no probability

    assert report.holds
    assert report.top1_disagreements == 0
    assert report.max_probability_difference < 1e-6
    assert "2 golden images got the recorded class" in report.message


def test_another_class_does_not_hold_and_the_picture_is_named() -> None:
    expected = np.float32([[0.0, 2.0], [0.302, 0.0]])  # the second: 57.5 % to 42.5 %
    measured = np.float32([[0.0, 2.0], [0.0, 0.04]])  # 49 % to 51 %

    report = compare(expected, measured, 0.1, ("a.jpg", "b.jpg"))

    assert report.max_probability_difference < 0.1

    assert (report.holds, report.top1_disagreements, report.worst_file) == (False, 1, "b.jpg")
    assert "1 of 2 golden images got another class than recorded" in report.message


def test_a_drift_beyond_the_tolerance_does_not_hold_though_the_class_does() -> None:
    expected, measured = np.float32([[2, 0], [9, 0]]), np.float32([[1, 0], [9, 0]])

    report = compare(expected, measured, 0.1, ("a.jpg", "b.jpg"))

    assert (report.holds, report.top1_disagreements, report.worst_file) == (False, 0, "a.jpg")
    assert report.max_probability_difference == pytest.approx(0.1497, abs=1e-4)
    assert compare(expected, measured, 0.15).holds


def test_within_a_tie_either_class_may_win() -> None:
    expected = np.float32([[0.010, 0.0, -5.0]])
    measured = np.float32([[0.0, 0.010, -5.0]])

    assert compare(expected, measured, 0.02).holds
    assert compare(expected, measured, 0.004).top1_disagreements == 1


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_never_holds(odd: float) -> None:
    measured = np.float32([[1, 0], [odd, 0]])

    report = compare(np.float32([[1, 0], [1, 0]]), measured, 0.99, ("a.jpg", "b.jpg"))

    assert (report.holds, report.worst_file, report.max_probability_difference) == (False, "b.jpg", 1.0)
    assert "not finite numbers" in report.message


def test_logits_of_different_shapes_are_a_bug_of_ours() -> None:
    with pytest.raises(ValueError, match="not both"):
        compare(np.zeros((1, 2)), np.zeros((1, 3)), 0.02)
    with pytest.raises(ValueError, match="not both"):
        compare(np.zeros((0, 2)), np.zeros((0, 2)), 0.02)


def test_logits_recorded_for_another_order_of_classes_are_refused(tmp_path: Path) -> None:
    """They would hold by position and name other classes: a boar would be let through as a castrate."""
    picture = GoldenPicture("a.png", b"a", np.float32([1, 2, 3]))
    write_golden(tmp_path, classes=["castrate", "boar", "female"], made_with={}, pictures=[picture])

    assert read_golden(tmp_path, ["castrate", "boar", "female"]) is not None
    with pytest.raises(ManifestInvalid, match="in this order"):
        read_golden(tmp_path, ["boar", "castrate", "female"])
