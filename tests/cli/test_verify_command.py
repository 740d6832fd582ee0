"""`lineside verify`: exit codes, the golden table, labelled folders, JSON."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from support.bundles import write_random_bundle
from support.pictures import damaged_file, picture_file
from typer.testing import CliRunner

from app.cli.main import app

run = CliRunner()
GOLDEN = {f"{number}.png": picture_file(number, "PNG") for number in range(3)}
KOREAN = {"ko": {"female": "암"}}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`line` has versions 1 and 2, both proved; `bare` has no golden images."""
    root = tmp_path_factory.mktemp("models")
    for version in (1, 2):
        write_random_bundle(root, version=version, golden=GOLDEN, display=KOREAN)
    write_random_bundle(root, name="bare")
    return root


def command(models: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and the JSON."""
    result = run.invoke(app, ["verify", *arguments, "--models", str(models), "--device", "cpu", "--json"])
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.parametrize(("given", "version"), [("line", 2), ("line/1", 1), ("{}/line", 2), ("{}/line/1", 1)])
def test_a_bundle_is_named_or_pointed_at(given: str, version: int, models: Path) -> None:
    code, report = command(models, given.format(models))

    assert (code, report["status"], report["model"]["version"]) == (0, "proved", version)
    assert [image["file"] for image in report["golden"]["images"]] == list(GOLDEN)
    assert all(
        image["holds"] and image["max_logit_difference"] < 1e-4 for image in report["golden"]["images"]
    )
    assert report["golden"]["measured_with"]["precision"] == "float32"
    assert "torch" in report["golden"]["recorded_with"]


def test_a_changed_preprocessing_is_shown_image_by_image(tmp_path: Path) -> None:
    """Exit code 1; the table has what was recorded and what is measured."""
    bundle = write_random_bundle(tmp_path, golden=GOLDEN)
    manifest = bundle.folder / "model.toml"
    manifest.write_text(
        manifest.read_text("utf-8").replace('"bilinear"', '"nearest"').replace("1/255", "1/200")
    )

    code, report = command(tmp_path, "line")
    shown = run.invoke(app, ["verify", "line", "--models", str(tmp_path), "--device", "cpu"])

    assert (code, report["status"]) == (1, "refused")
    assert "golden images do not hold" in report["reason"]
    assert max(image["max_probability_difference"] for image in report["golden"]["images"]) > 0.02
    assert shown.exit_code == 1
    assert "FAILS" in shown.output
    assert all(name in shown.output for name in GOLDEN)


def test_without_golden_images_it_says_that_little_is_known(models: Path) -> None:
    code, report = command(models, "bare")
    shown = run.invoke(app, ["verify", "bare", "--models", str(models), "--device", "cpu"])

    assert (code, report["golden"]) == (0, None)
    assert "no golden images" in report["warnings"][0]
    assert "warning: the bundle has no golden images" in shown.output


def test_a_labelled_folder_adds_figures_mistakes_and_damaged_pictures(models: Path, tmp_path: Path) -> None:
    for number in range(8):
        folder = tmp_path / ("암" if number % 2 else "boar")
        folder.mkdir(exist_ok=True)
        (folder / f"[red]{number}.jpg").write_bytes(picture_file(number) if number else damaged_file())

    code, report = command(models, "line", "--labelled", str(tmp_path))
    shown = run.invoke(app, ["verify", "line", "--labelled", str(tmp_path), "--models", str(models)])

    found = report["labelled"]
    assert code == 0
    assert (found["labelled"], found["support"], found["without_pictures"]) == (7, [0, 3, 4], ["castrate"])
    assert found["hits"] == 7 - len(found["mistakes"]) == sum(found["confusion"][i][i] for i in range(3))
    assert [Path(row["file"]).name for row in found["failed"]] == ["[red]0.jpg"]
    assert found["recall"][0] is None
    assert "[red]0.jpg" in shown.output
    assert "no pictures, so not in the macro F1: castrate" in shown.output
    for mistake in found["mistakes"]:
        assert Path(mistake["file"]).name in shown.output
        assert mistake["probability"] > mistake["true_probability"]


@pytest.mark.parametrize(
    ("side", "said"),
    [("train", "was trained on 1 picture of these 2"), ("validation", "1 picture of these 2 stood")],
)
def test_pictures_that_the_bundle_knows_already_are_told(side: str, said: str, tmp_path: Path) -> None:
    """By their bytes; an accuracy is not claimed of those that it was trained on."""
    bundle = write_random_bundle(tmp_path / "models", golden=GOLDEN)
    (bundle.folder / "training").mkdir()
    (tmp_path / "pictures" / "boar").mkdir(parents=True)
    for number in (1, 2):
        (tmp_path / "pictures" / "boar" / f"{number}.jpg").write_bytes(picture_file(number))
    row = f"old name.jpg,boar,{side},,{hashlib.sha256(picture_file(2)).hexdigest()},"
    (bundle.folder / "training" / "split.csv").write_text(f"file,class,side,group,sha256,damage\n{row}\n")
    asked = ["line", "--labelled", str(tmp_path / "pictures")]

    _, report = command(tmp_path / "models", *asked)
    shown = run.invoke(
        app, ["verify", *asked, "--models", str(tmp_path / "models"), "--device", "cpu"]
    ).output

    met = report["labelled"]["met_before"]
    assert (met["trained_on"], met["chosen_by"]) == ((1, 0) if side == "train" else (0, 1))
    assert said in " ".join(shown.split())
    assert ("called right" in shown) is (side == "train")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lime"], "did you mean `line`?"),
        (["line", "--labelled", "{}"], "`line`"),
        (["line", "--labelled", "{}/nowhere"], "is not a folder"),
    ],
)
def test_what_the_command_cannot_know_ends_with_code_2(
    arguments: list[str], words: str, models: Path
) -> None:
    """The bundle was not asked: neither proved nor refused."""
    code, report = command(models, *(text.format(models) for text in arguments))

    assert (code, report["status"]) == (2, "invalid")
    assert words in report["reason"]


def test_a_bundle_that_does_not_load_is_refused_with_the_reason(tmp_path: Path) -> None:
    bundle = write_random_bundle(tmp_path)
    bundle.weights_path.write_bytes(bundle.weights_path.read_bytes()[:-100])

    code, report = command(tmp_path, "line")

    assert (code, report["status"], report["model"]) == (1, "refused", None)
    assert "weights.safetensors" in report["reason"]
