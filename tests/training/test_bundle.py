"""`lineside finetune`: what comes out serves exactly what was measured, and nothing earlier is ever hurt."""

import csv
import json
import re
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest
from click.testing import Result
from support.server import test_settings, threaded_server
from training.conftest import SMALL
from training.runs import MAX_PIXELS, files_of_at_most
from typer.testing import CliRunner

from app.bundles.repository import open_bundle
from app.cli.main import app
from app.errors import InvalidRequest, SettingsInvalid, TrainingRefused
from app.evaluation.calibration import probabilities_at
from app.training.configuration import read_configuration
from app.training.finetune import finetune
from app.training.watch import Watcher

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def command(*words: object) -> Result:
    return CliRunner().invoke(app, ["finetune", *map(str, words)])


def files_in(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def rows(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines(), delimiter=delimiter))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "small.toml"
    path.write_text(SMALL + "\n[outputs]\npred_sol = true\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def digits(few_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With one damaged picture among 37."""
    folder = tmp_path_factory.mktemp("folder") / "digits"
    shutil.copytree(few_digits, folder)
    whole = next((folder / "0").glob("*.png")).read_bytes()
    (folder / "0" / "broken.png").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture(scope="module")
def models(digits: Path, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with version 1 of `digits`."""
    models = tmp_path_factory.mktemp("models")
    result = command(
        digits, "--config", config, "--out", models / "digits", "--set", "data.max_damaged_share=0.05"
    )
    assert result.exit_code == 0, result.output
    return models


def test_the_server_answers_every_measured_picture_as_it_was_measured(models: Path, digits: Path) -> None:
    """Class and probability, over HTTP, of every picture of the test side."""
    measured = rows(models / "digits" / "1" / "training" / "pred.sol", "\t")

    with threaded_server(test_settings(models)) as url:
        assert httpx.get(f"{url}/readyz").status_code == 200
        replies = [
            httpx.post(f"{url}/predict", content=(digits / row["FILE"]).read_bytes()).json()
            for row in measured
        ]

    assert len(measured) == 6
    assert [reply["class"] for reply in replies] == [row["PRED"] for row in measured]
    for reply, row in zip(replies, measured, strict=True):
        assert reply["probability"] == pytest.approx(float(row["prob"]), abs=2e-6)


def test_the_server_divides_by_the_temperature_and_shows_the_raw_logits(
    models: Path, digits: Path, tmp_path: Path
) -> None:
    shutil.copytree(models / "digits" / "1", tmp_path / "sure" / "1")
    shutil.copytree(models / "digits" / "1", tmp_path / "unsure" / "1")
    manifest = tmp_path / "unsure" / "1" / "model.toml"
    manifest.write_text(manifest.read_text("utf-8") + "\n[calibration]\ntemperature = 2.5\n", "utf-8")
    picture = next((digits / "3").glob("*.png")).read_bytes()

    with threaded_server(test_settings(tmp_path)) as url:
        sure, unsure = (
            httpx.post(f"{url}/predict?model={name}", content=picture).json()["top_k"]
            for name in ("sure", "unsure")
        )

    logits = np.array([each["logit"] for each in unsure])
    assert logits.tolist() == [each["logit"] for each in sure]
    assert [each["probability"] for each in sure] == pytest.approx(
        probabilities_at(logits).tolist(), abs=1e-6
    )
    assert [each["probability"] for each in unsure] == pytest.approx(
        probabilities_at(logits, 2.5).tolist(), abs=1e-6
    )


def test_the_bundle_says_what_was_done(models: Path, digits: Path) -> None:
    folder = models / "digits" / "1"
    bundle = open_bundle(folder)

    placed = rows(folder / "training" / "split.csv")
    assert bundle.golden is not None
    assert [image.class_name for image in bundle.golden.images] == ["0", "0", "1", "1", "3", "3"]
    assert {row["file"] for row in placed} == {
        p.relative_to(digits).as_posix() for p in digits.rglob("*.png")
    }
    assert [
        (row["file"], row["side"], bool(row["damage"])) for row in placed if row["side"] == "damaged"
    ] == [("0/broken.png", "damaged", True)]
    assert len(rows(folder / "training" / "history.csv")) == 2
    assert "accuracy:" in (folder / "training" / "summary.txt").read_text("utf-8")
    card = (folder / "README.md").read_text("utf-8")
    assert "fresh weights" in card
    assert "could not be used: 1" in card


def test_the_report_of_both_sides_lies_beside_it(models: Path) -> None:
    """Made of the very answers that pred.sol holds, with the curves."""
    folder = models / "digits" / "1" / "training"
    report = json.loads((folder / "evaluation.json").read_text("utf-8"))
    page = (folder / "evaluation.html").read_text("utf-8")
    predictions = rows(folder / "predictions.csv")

    assert [side["name"] for side in report["models"]] == ["test side", "validation side"]
    assert report["models"][0]["claims_accuracy"] is False
    assert [row["predicted"] for row in predictions if row["model"] == "test side"] == [
        row["PRED"] for row in rows(folder / "pred.sol", "\t")
    ]
    assert "Evaluation of digits/1" in page
    assert page.count("<polyline") == 3


def test_the_report_is_korean_where_that_is_asked(digits: Path, config: Path, tmp_path: Path) -> None:
    """The page only: what programs read keeps its words. No English sentence is left on it."""
    display = '{ ko = { 0 = "영", 1 = "일", 3 = "삼" } }'
    result = command(
        digits, "--config", config, "--out", tmp_path / "models" / "digits", "--language", "ko", "--epochs", 1,
        "--set", "data.max_damaged_share=0.05", "--set", f"display={display}",
    )  # fmt: skip

    assert result.exit_code == 0, result.output
    folder = tmp_path / "models" / "digits" / "1" / "training"
    page = (folder / "evaluation.html").read_text("utf-8")
    seen = re.sub(r"<(style|title)>.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)
    assert '<html lang="ko"' in page
    assert "영 (2), 일 (2), 삼 (2)" in seen
    assert "시험 세트" in seen
    assert "검증 세트" in seen
    assert "쓸 수 없는 사진: 1장" in seen
    assert re.findall(r"(?:[A-Za-z]{2,} ){3,}", re.sub(r"\s+", " ", seen)) == []
    report = json.loads((folder / "evaluation.json").read_text("utf-8"))
    assert [side["name"] for side in report["models"]] == ["test side", "validation side"]
    assert report["notes"][0].startswith("The validation side chose the epoch, so")


def test_the_kept_configuration_makes_the_same_weights_again(
    models: Path, digits: Path, tmp_path: Path
) -> None:
    first = models / "digits" / "1"

    result = command(
        digits, "--config", first / "training" / "config.toml", "--out", tmp_path / "models" / "again"
    )

    assert result.exit_code == 0, result.output
    assert open_bundle(tmp_path / "models" / "again" / "1").digest == open_bundle(first).digest
    assert [p.name for p in (tmp_path / "models").iterdir()] == ["again"]


def test_a_full_disk_leaves_the_earlier_version_and_the_training(
    models: Path, digits: Path, config: Path, tmp_path: Path
) -> None:
    """The bundle's weights do not fit; once there is room, the same command only writes the bundle."""
    repository, work = tmp_path / "models", tmp_path / "work"
    shutil.copytree(models, repository)
    before = files_in(repository)
    changed = {"data.max_damaged_share": 0.05, "training.epochs": 1}
    configuration = read_configuration(config.read_bytes(), changed, name="small")
    finetune(digits, configuration, work_folder=work, max_pixels=MAX_PIXELS, watcher=Watcher())
    words = [digits, "--config", config, "--out", repository / "digits", "--work", work, "--epochs", 1]
    words += ["--set", "data.max_damaged_share=0.05"]

    with files_of_at_most(650_000):
        refused = command(*words)
    assert isinstance(refused.exception, TrainingRefused), refused.output
    assert "digits/2 cannot be written" in refused.exception.message
    assert files_in(repository) == before

    again = command(*words)
    assert again.exit_code == 0, again.output
    assert "epoch 1:" not in again.output
    assert (repository / "digits" / "2" / "model.toml").exists()
    assert {name: data for name, data in files_in(repository).items() if "/1/" in name} == before
    assert not work.exists()


def test_too_many_damaged_pictures_are_refused_and_named(digits: Path, config: Path, tmp_path: Path) -> None:
    result = command(digits, "--config", config, "--out", tmp_path / "models" / "digits")

    assert isinstance(result.exception, TrainingRefused)
    assert "1 of 37 pictures (2.7%)" in result.exception.message
    assert "0/broken.png" in result.exception.message
    assert not (tmp_path / "models" / "digits").exists()


def test_groups_that_nothing_tells_are_refused(digits: Path, config: Path, tmp_path: Path) -> None:
    result = command(
        digits,
        "--config",
        config,
        "--out",
        tmp_path / "models" / "x",
        "--group-by",
        "day",
        "--set",
        "data.max_damaged_share=0.1",
    )

    assert isinstance(result.exception, TrainingRefused)
    assert "36 of 36 pictures say nothing" in result.exception.message


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "--architecture"),
        (("--architecture", "resnet50"), "which photographs"),
        ((".", "--architecture", "resnet50"), "--out models/NAME"),
        ((".", "--architecture", "resnet5", "--out", "models/x", "--start", "none"), "nearest known: "),
        ((".", "--config", "nowhere.toml"), "nowhere.toml"),
        ((".", "--architecture", "resnet50", "--set", "epochs"), "KEY=VALUE"),
        ((".", "--architecture", "resnet50", "--set", "training.epoch=3"), "did you mean `epochs`"),
        ((".", "--architecture", "resnet50", "--preprocess", "imagnet"), "imagenet, carcass"),
    ],
)
def test_a_command_that_cannot_be_meant_says_what_is_missing(
    words: tuple[str, ...], expected: str, digits: Path
) -> None:
    result = command(*(digits if word == "." else word for word in words))

    assert isinstance(result.exception, TrainingRefused), result.output
    assert expected in result.exception.message


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("LINESIDE_MAX_IMAGE_MEGAPIXELS", "abc", "LINESIDE_MAX_IMAGE_MEGAPIXELS: "),
        ("LINESIDE_MAX_IMAGE_MEGAPIXEL", "50", "unknown setting LINESIDE_MAX_IMAGE_MEGAPIXEL; did you mean"),
    ],
)
def test_settings_are_read_as_every_command_reads_them(
    variable: str, value: str, words: str, digits: Path, config: Path, tmp_path: Path
) -> None:
    arguments = ["finetune", str(digits), "--config", str(config), "--out", str(tmp_path / "models" / "x")]

    result = CliRunner().invoke(app, arguments, env={variable: value})

    assert isinstance(result.exception, SettingsInvalid), result.output
    assert words in result.exception.message


def test_a_place_that_cannot_be_written_is_told_before_anything_is_read(
    digits: Path, config: Path, tmp_path: Path
) -> None:
    """With work folder elsewhere, which alone would be found out soon."""
    work = tmp_path / "work"
    (tmp_path / "file").write_text("no folder", "utf-8")
    for place in (Path("/proc/nope/m"), tmp_path / "file" / "models" / "m"):
        result = command(digits, "--config", config, "--out", place, "--work", work)

        assert isinstance(result.exception, TrainingRefused), result.output
        assert "name another place" in result.exception.message
        assert "begins from" not in result.output
    assert not work.exists()


def test_a_version_that_is_there_is_refused_before_anything_is_read(
    models: Path, digits: Path, config: Path
) -> None:
    result = command(digits, "--config", config, "--out", models / "digits" / "1")

    assert isinstance(result.exception, InvalidRequest)


def test_the_printed_configuration_is_the_one_that_would_be_used() -> None:
    result = command(
        "--config",
        EXAMPLES / "carcass.toml",
        "--print-config",
        "--epochs",
        7,
        "--preprocess",
        "imagenet",
        "--freeze",
        "head",
    )

    configuration = read_configuration(result.stdout.encode(), {}, name="printed")
    assert (configuration.training.epochs, configuration.training.freeze) == (7, "head")
    assert configuration.preprocess.std == (0.229, 0.224, 0.225)
    assert configuration.augmentation.preset == "carcass"
