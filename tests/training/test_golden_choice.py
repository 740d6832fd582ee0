"""Which pictures become golden images: drawn from the validation side, or named, and never trained on."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from training.runs import MAX_PIXELS, run

from app.bundles.golden import GoldenPicture
from app.errors import TrainingRefused
from app.training.folder import File, Side
from app.training.golden import golden_names, golden_pictures, named_files
from app.training.trained import Placed, Trained


@pytest.fixture(scope="module")
def trained(few_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return run(few_digits, tmp_path_factory.mktemp("work"), training__epochs=1)


def placed(name: str, side: Side | None, damage: str | None = None) -> Placed:
    return Placed(File(Path(name), name, 0, None), side, None, "", "", damage)


def of(trained: Trained, *sides: Side) -> list[File]:
    """The first picture of each side."""
    return [next(each.file for each in trained.placed if each.side == side) for side in sides]


def digests(pictures: Sequence[GoldenPicture]) -> list[str]:
    return [hashlib.sha256(picture.data).hexdigest() for picture in pictures]


def test_they_are_drawn_from_every_class_of_the_validation_side_as_the_files_are(trained: Trained) -> None:
    pictures = golden_pictures(trained, max_pixels=MAX_PIXELS)

    validation = {each.digest for each in trained.placed if each.side == "validation"}
    assert [picture.class_name for picture in pictures] == ["0", "0", "1", "1", "3", "3"]
    assert set(digests(pictures)) <= validation


def test_those_that_are_named_come_in_their_order_under_their_own_names(
    few_digits: Path, trained: Trained, tmp_path: Path
) -> None:
    """Of both sides that were not trained on."""
    named = of(trained, "test", "validation")

    again = run(few_digits, tmp_path, training__epochs=1, outputs__golden=tuple(file.name for file in named))

    pictures = golden_pictures(again, max_pixels=MAX_PIXELS)
    assert [picture.file for picture in pictures] == [file.path.name for file in named]
    assert digests(pictures) == [hashlib.sha256(file.path.read_bytes()).hexdigest() for file in named]


def test_what_is_named_wrongly_is_refused_before_anything_is_trained(
    few_digits: Path, trained: Trained, tmp_path: Path
) -> None:
    """The work folder would hold a state otherwise."""
    learnt = of(trained, "train")[0].name

    with pytest.raises(TrainingRefused, match=f"`{learnt}` is on the side train"):
        run(few_digits, tmp_path / "work", outputs__golden=(learnt,))

    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["1/b.png"], r"`1/b\.png` is no picture of the folder; did you mean `1/a\.png`"),
        (["2/a.png"], r"`2/a\.png` is damaged \(truncated\)"),
        ([f"{number}.png" for number in range(17)], "names 17 pictures; 16 at most"),
    ],
)
def test_a_refusal_says_why(names: list[str], said: str) -> None:
    folder = [placed("1/a.png", "validation"), placed("2/a.png", None, "truncated")]

    with pytest.raises(TrainingRefused, match=said):
        named_files(names, folder)


def test_two_of_one_name_are_told_apart() -> None:
    files = [File(Path(name), name, index, None) for index, name in enumerate(("a/x 1.JPG", "b/x_1.jpg"))]

    assert golden_names(files, ("a", "b"), are_named=True) == ["01-a-x_1.jpg", "02-b-x_1.jpg"]
    assert golden_names(files[:1], ("a", "b"), are_named=True) == ["x_1.jpg"]
