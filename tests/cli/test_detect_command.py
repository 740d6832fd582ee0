"""`lineside detect-preprocess`: a bundle whose manifest is wrong, and the version that it writes."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from support.bundles import write_random_bundle
from support.pictures import damaged_file
from support.trained import CASES, CLASSES, manifest_of, painted, trained_weights
from typer.testing import CliRunner

from app.bundles.manifest import CalibrationTable
from app.bundles.repository import open_bundle
from app.bundles.writer import write_bundle
from app.cli.main import app

run = CliRunner()
TRUTH = CASES["small"].truth


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """`line`: trained with the classes in another order than its manifest says; no golden images, but a temperature."""
    exchanged = ("boar", "castrate", "female")
    manifest = manifest_of("small", TRUTH, exchanged)
    write_bundle(
        tmp_path / "models" / "line" / "1",
        manifest=manifest.model_copy(update={"calibration": CalibrationTable(temperature=2.5)}),
        write_weights=lambda path: save_file(trained_weights("small"), path),
    )
    return tmp_path / "models"


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Six pictures of each class, one more of which is damaged."""
    folder = tmp_path / "labelled"
    for index, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for seed in range(6):
            painted("small", index, 1000 + seed).save(folder / name / f"{seed}.png")
    (folder / "boar" / "0a.jpg").write_bytes(damaged_file())
    return folder


def command(models: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and the JSON."""
    more = ["--models", str(models), "--device", "cpu", "--json"]
    result = run.invoke(app, ["detect-preprocess", *arguments, *more])
    return result.exit_code, json.loads(result.stdout)


def test_a_wrong_order_of_classes_is_told_and_mended_in_a_new_version(models: Path, labelled: Path) -> None:
    """The old version stays; the new one is proved, with labelled pictures as golden images."""
    before = (models / "line" / "1" / "model.toml").read_bytes()

    code, report = command(models, "line", "--labelled", str(labelled), "--write")

    assert (code, report["status"]) == (1, "other")
    found = report["findings"]
    assert (found["classes_look_permuted"], found["classes"]) == (True, list(CLASSES))
    assert found["declarations"] >= 200
    assert tomllib.loads(found["toml"])["classes"] == list(CLASSES)
    assert any("0a.jpg" in note for note in report["notes"])
    assert report["written"] == {"name": "line", "version": 2}
    assert (models / "line" / "1" / "model.toml").read_bytes() == before
    made = open_bundle(models / "line" / "2")
    assert made.classes == CLASSES
    assert made.manifest.calibration.temperature == 1.0
    assert any("2.5 was fitted under the old preprocessing" in note for note in report["notes"])
    assert made.golden is not None
    assert {image.class_name for image in made.golden.images} == set(CLASSES)
    verified = run.invoke(
        app, ["verify", "line", "--labelled", str(labelled), "--models", str(models), "--json"]
    )
    assert json.loads(verified.stdout)["labelled"]["accuracy"] == 1


@pytest.mark.slow
def test_too_few_pictures_are_said_to_be_too_few(tmp_path: Path) -> None:
    """Nine right answers of nine would prove nothing at this level, and are no reason to doubt the weights."""
    write_random_bundle(tmp_path / "models")
    for index, name in enumerate(CLASSES):
        (tmp_path / "few" / name).mkdir(parents=True)
        for seed in range(3):
            painted("small", index, 1000 + seed).save(tmp_path / "few" / name / f"{seed}.png")

    more = ["--labelled", str(tmp_path / "few"), "--models", str(tmp_path / "models"), "--device", "cpu"]
    result = run.invoke(app, ["detect-preprocess", "line", *more])

    assert "9 pictures are too few, whatever the answers: give 10 or more" in result.stdout


def test_what_cannot_be_asked_ends_with_code_2(tmp_path: Path) -> None:
    write_random_bundle(tmp_path)

    code, report = command(tmp_path, "line", "--labelled", str(tmp_path))

    assert (code, report["status"]) == (2, "invalid")
    assert "`castrate`, `boar` and `female`" in report["reason"]
