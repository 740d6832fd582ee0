"""The same picture twice: on one side where we split, told and not boasted of where the folder has put it on two."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.digits import write_digits
from training.runs import MAX_PIXELS, StopAt, run

from app.training.card import model_card
from app.training.records import summary_txt
from app.training.report import report_files
from app.training.trained import Trained

ENDLESS = 10**6


def saved_again(picture: Path, place: Path) -> None:
    """The same pixels in another file: other metadata, other compression."""
    with Image.open(picture) as image:
        image.info.clear()
        image.save(place, "PNG", compress_level=0, dpi=(72, 72))
    assert place.read_bytes() != picture.read_bytes()


def side_of(trained: Trained, names: Sequence[str]) -> set[str | None]:
    return {each.side for each in trained.placed if Path(each.file.name).name in names}


def test_a_picture_saved_again_stands_on_the_side_of_its_original(tmp_path: Path) -> None:
    """Sixteen pairs: by chance, some of them would be parted in nearly every split."""
    folder = write_digits(tmp_path / "digits", digits=(0, 1), per_digit=8)
    pairs = []
    for picture in sorted(folder.rglob("*.png")):
        saved_again(picture, picture.with_name(f"again-{picture.name}"))
        pairs.append((picture.name, f"again-{picture.name}"))
    watcher = StopAt(ENDLESS)

    trained = run(folder, tmp_path / "work", watcher, training__epochs=1)

    assert all(len(side_of(trained, pair)) == 1 for pair in pairs)
    assert not any("same picture" in line for line in watcher.said)


@pytest.fixture(scope="module")
def leaking(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, list[str]]:
    """train/, val/ and test/ of enough pictures, two of test/ the same as two of train/; and what was said."""
    folder = tmp_path_factory.mktemp("leaking")
    chance = np.random.default_rng(0)
    for side, count in (("train", 8), ("val", 30), ("test", 30)):
        for name, grey in (("dark", 40), ("light", 200)):
            (folder / side / name).mkdir(parents=True)
            for number in range(count):
                pixels = chance.integers(grey, grey + 50, (8, 8), np.uint8)
                Image.fromarray(pixels).save(folder / side / name / f"{side}{number}.png")
    for number in (3, 4):
        saved_again(folder / "train/dark" / f"train{number}.png", folder / "test/dark" / f"test{number}.png")
    watcher = StopAt(ENDLESS)
    trained = run(folder, tmp_path_factory.mktemp("work"), watcher, training__epochs=1)
    return trained, watcher.said


def test_copies_on_two_sides_are_told_on_the_screen(leaking: tuple[Trained, list[str]]) -> None:
    _, said = leaking

    assert [line for line in said if "same picture" in line] == [
        f"warning: test/dark/test{n}.png (test) and train/dark/train{n}.png (train) are the same picture" for n in (3, 4)
    ]  # fmt: skip


def test_no_accuracy_is_claimed_of_a_side_that_was_seen_before(leaking: tuple[Trained, list[str]]) -> None:
    """In the card, the summary and the report; the other side's stands."""
    trained, _ = leaking
    assert trained.test is not None
    assert (trained.test.claims_accuracy, trained.validation.claims_accuracy) == (False, True)

    card = model_card(trained)
    files = report_files(trained, name="x/1", max_pixels=MAX_PIXELS)
    report = json.load(io.BytesIO(files["evaluation.json"]))

    assert "No accuracy is claimed of the test side: 2 of its pictures stand on another side too." in card
    assert "of the validation side" not in card
    assert "accuracy: not claimed (2 of its pictures" in summary_txt(trained)
    assert [
        (side["claims_accuracy"], side["met_before"]["on_earlier_side"]) for side in report["models"]
    ] == [
        (False, 2),
        (True, 0),
    ]
    assert report["notes"][0].startswith("2 of the test side's 60 pictures have the same pixels as")
    assert "2 of the test side's 60 pictures" in files["evaluation.html"].decode()


def test_the_note_is_korean_on_a_korean_page(leaking: tuple[Trained, list[str]]) -> None:
    trained, _ = leaking
    outputs = trained.configuration.outputs.model_copy(update={"language": "ko"})
    korean = trained.configuration.model_copy(update={"outputs": outputs})

    page = report_files(replace(trained, configuration=korean), name="x/1", max_pixels=MAX_PIXELS)[
        "evaluation.html"
    ].decode()

    assert "시험 세트의 사진 60장 가운데 2장은" in page
