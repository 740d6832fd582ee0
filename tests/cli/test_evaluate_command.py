"""`lineside evaluate`: a page, JSON and a table that agree; two bundles; and nothing where something is wrong."""

import csv
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from click.testing import Result
from support.bundles import CLASSES, write_random_bundle
from support.pictures import damaged_file, picture_file
from support.server import test_settings, threaded_server
from typer.testing import CliRunner

from app.cli.main import app
from app.errors import InvalidRequest, LinesideError, SelfTestFailed
from app.evaluation.report_folder import write_folder

GOLDEN = {"a.png": picture_file(50, "PNG")}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seeds whose networks do not call everything the same. `line` has a temperature, `other` its classes in another order, `cats` other ones."""
    root = tmp_path_factory.mktemp("models")
    line = write_random_bundle(root, golden=GOLDEN, display={"ko": {"female": "암"}}, seed=3)
    manifest = line.folder / "model.toml"
    manifest.write_text(
        manifest.read_text("utf-8")
        + "\n[calibration]\ntemperature = 2.0\n\n[evidence]\nregion_of_interest = [0.0, 0.0, 0.5, 1.0]\n",
        "utf-8",
    )
    write_random_bundle(root, name="other", classes=CLASSES[::-1], golden=GOLDEN, seed=8)
    write_random_bundle(root, name="cats", classes=("cat", "dog"))
    return root


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight of every class; one name that would be a tag."""
    folder = tmp_path_factory.mktemp("pictures")
    for index, name in enumerate(CLASSES):
        (folder / name).mkdir()
        for number in range(8):
            (folder / name / f"<b>&{number}.jpg").write_bytes(picture_file(10 * index + number))
    return folder


PREVALENCE = ("--prevalence", "boar=90", "--prevalence", "castrate=10", "--prevalence", "female=0")


def command(models: Path, *words: object) -> Result:
    arguments = ["evaluate", *map(str, words), "--models", str(models), "--device", "cpu", "--painted", "4"]
    return CliRunner().invoke(app, arguments)


@pytest.fixture(scope="module")
def one(models: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("one") / "out"
    result = command(models, "line", pictures, "--out", out, "--mistakes", 3, *PREVALENCE)
    assert result.exit_code == 0, result.output
    assert "precision there" in result.output
    assert "no accuracy is claimed: fewer than 30 pictures" in result.output
    assert "accuracy 0." not in result.output
    return out


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "predictions.csv").read_text("utf-8").splitlines()))


def report(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "evaluation.json").read_text("utf-8"))
    return loaded


def test_what_is_written_is_what_the_server_answers(one: Path, models: Path, pictures: Path) -> None:
    """Class, calibrated probability and raw logit of every picture, over HTTP."""
    found = rows(one)

    assert sorted(path.name for path in one.iterdir()) == [
        ".lineside-report",
        "evaluation.html",
        "evaluation.json",
        "predictions.csv",
    ]
    assert len(found) == 24
    with threaded_server(test_settings(models, default_model="line")) as url:
        for row in found[::3]:
            reply = httpx.post(f"{url}/predict", content=(pictures / row["file"]).read_bytes()).json()
            assert reply["class"] == row["predicted"]
            for score in reply["top_k"]:
                name = score["class"]
                assert score["probability"] == pytest.approx(float(row[f"probability_{name}"]), abs=2e-6)
                assert score["logit"] == pytest.approx(float(row[f"logit_{name}"]), abs=1e-4)


def test_the_figures_follow_from_the_table(one: Path) -> None:
    [model] = report(one)["models"]
    found = rows(one)

    hits = sum(row["true"] == row["predicted"] for row in found)
    assert (model["hits"], model["labelled"], model["claims_accuracy"]) == (hits, 24, False)
    assert model["classes_below"]["classes"] == dict.fromkeys(CLASSES, 8)
    assert model["accuracy_95"][0] < hits / 24 < model["accuracy_95"][1]
    assert model["macro_f1_95"][0] <= model["macro_f1"] <= model["macro_f1_95"][1]
    assert model["temperature"] == 2.0
    assert model["calibration_error_after_scaling"] != model["calibration_error"]
    assert len(model["mistakes"]) == 24 - hits
    [everything, *_, half] = model["error_against_coverage"]
    assert (everything["pictures"], everything["wrong"], half["pictures"]) == (24, 24 - hits, 12)
    assert model["on_the_line"]["prevalence"] == pytest.approx([0.1, 0.9, 0.0])
    counts = np.array(model["confusion"])
    weighed = counts / counts.sum(axis=1, keepdims=True) * np.array([[0.1], [0.9], [0.0]])
    assert model["on_the_line"]["accuracy"] == pytest.approx(np.trace(weighed))
    for name, area in zip(CLASSES, model["roc_auc"], strict=True):
        its, others = (
            [float(row[f"probability_{name}"]) for row in found if (row["true"] == name) is is_it]
            for is_it in (True, False)
        )
        pairs = [(a > b) + (a == b) / 2 for a in its for b in others]
        assert area == pytest.approx(sum(pairs) / len(pairs), abs=0.02)
    recalls = [value for value in model["recall"] if value is not None]
    assert model["balanced_accuracy"] == pytest.approx(sum(recalls) / len(recalls))


def test_the_audit_stands_in_the_report(one: Path) -> None:
    [audit] = report(one)["audits"]

    assert audit["region_of_interest"] == {"x0": 0.0, "y0": 0.0, "x1": 0.5, "y1": 1.0}
    assert sum(place["pictures"] for place in audit["evidence"].values()) == 24
    assert all(0 <= (place["share_inside"] or 0) <= 1 for place in audit["evidence"].values())
    assert {each["what"] for each in audit["painted_over"]} == {"ink", "backdrop"}


def test_the_page_needs_nothing_and_escapes_names(one: Path) -> None:
    page = (one / "evaluation.html").read_text("utf-8")

    assert "&lt;b&gt;&amp;" in page
    assert "<b>&" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page
    assert page.count('class="mistake"') == 3
    assert "On the line" in page
    assert page.count("data:image/jpeg;base64,") == 9


def test_two_bundles_are_compared_on_the_same_pictures(models: Path, pictures: Path, tmp_path: Path) -> None:
    """Though their classes stand in other orders; in Korean on the page, in English on the screen."""
    out = tmp_path / "out"

    result = command(models, "line", "other", pictures, "--out", out, "--language", "ko")

    assert result.exit_code == 0, result.output
    test = report(out)["comparison"]
    by_model = {
        name: {row["file"]: row["true"] == row["predicted"] for row in rows(out) if row["model"] == name}
        for name in ("line/1", "other/1")
    }
    pairs = [(right, by_model["other/1"][file]) for file, right in by_model["line/1"].items()]
    assert (test["first_only"], test["second_only"]) == (
        pairs.count((True, False)),
        pairs.count((False, True)),
    )
    assert test["first_only"] > 0 < test["second_only"]
    assert "McNemar's test, exact binomial" in result.output
    page = (out / "evaluation.html").read_text("utf-8")
    assert 'lang="ko"' in page
    assert "맥니마" in page
    assert "line/1: " in page
    assert "정확도를 제시하지 않습니다" in page


def test_damaged_pictures_are_listed_up_to_a_share(models: Path, pictures: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "out"
    shutil.copytree(pictures, folder)
    (folder / "boar" / "cut.jpg").write_bytes(damaged_file())

    refused = command(models, "line", folder, "--out", out, "--max-damaged", 0.01)
    assert isinstance(refused.exception, InvalidRequest)
    assert "1 of 25 pictures (4.0%)" in refused.exception.message
    assert "boar/cut.jpg" in refused.exception.message
    assert not out.exists()

    result = command(models, "line", folder, "--out", out)
    assert result.exit_code == 0, result.output
    assert [row["file"] for row in report(out)["failed"]] == ["boar/cut.jpg"]
    assert rows(out)[-1]["error"]
    assert "boar/cut.jpg" in (out / "evaluation.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["line", "{empty}"], "no pictures"),
        (["line", "{models}"], "no class of this model"),
        (["line", "{models}/nowhere"], "is not a folder"),
        (["lime", "{pictures}"], "did you mean `line`"),
        (["line", "{pictures}", "--out", "{pictures}"], "something else already"),
    ],
)
def test_what_cannot_be_evaluated_says_why_and_writes_nothing(
    words: list[str], said: str, models: Path, pictures: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    (empty / "boar").mkdir(parents=True)
    before = sorted(pictures.rglob("*"))
    filled = [word.format(empty=empty, models=models, pictures=pictures) for word in words]
    if "--out" not in filled:
        filled += ["--out", str(tmp_path / "out")]

    result = command(models, *filled)

    assert isinstance(result.exception, LinesideError), result.output
    assert said in result.exception.message
    assert sorted(pictures.rglob("*")) == before
    assert not (tmp_path / "out").exists()


def test_models_of_other_classes_are_not_compared(models: Path, pictures: Path, tmp_path: Path) -> None:
    result = command(models, "line", "cats", pictures, "--out", tmp_path / "out")

    assert isinstance(result.exception, InvalidRequest)


def test_a_bundle_that_is_not_proved_is_not_measured(models: Path, pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "other", tmp_path / "models" / "other")
    manifest = tmp_path / "models" / "other" / "1" / "model.toml"
    manifest.write_text(manifest.read_text("utf-8").replace("1/255", "1/200"), "utf-8")

    result = command(tmp_path / "models", "other", pictures, "--out", tmp_path / "out")

    assert isinstance(result.exception, SelfTestFailed)
    assert not (tmp_path / "out").exists()


def test_an_earlier_report_is_replaced_whole(models: Path, pictures: Path, one: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(one, out)
    (out / "evaluation.html").write_text("old", "utf-8")

    result = command(models, "line", pictures, "--out", out, "--mistakes", 0)

    assert result.exit_code == 0, result.output
    assert "Evaluation of line/1" in (out / "evaluation.html").read_text("utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_link_to_a_folder_stays_and_that_folder_is_replaced_whole(tmp_path: Path) -> None:
    link, there = tmp_path / "latest", tmp_path / "disk" / "report"
    link.symlink_to(there)

    for text in (b"first", b"second"):
        write_folder(link, {"evaluation.html": text})

        assert link.is_symlink()
        assert (there / "evaluation.html").read_bytes() == text
    assert [path.name for path in there.parent.iterdir()] == ["report"]


def test_a_model_is_not_praised_for_pictures_of_its_training(models: Path, tmp_path: Path) -> None:
    """Thirty and more of a class would be enough, were they new to it."""
    shutil.copytree(models / "line", tmp_path / "models" / "line")
    lines = ["file,class,side,group,sha256,damage"]
    for index, name in enumerate(CLASSES):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(30):
            data = picture_file(100 * index + number)
            (tmp_path / "pictures" / name / f"{number}.jpg").write_bytes(data)
            lines.append(f"other name {number}.jpg,{name},train,,{hashlib.sha256(data).hexdigest()},")
    lines[-1] = lines[-1].replace("train", "test")
    training = tmp_path / "models" / "line" / "1" / "training"
    training.mkdir()
    (training / "split.csv").write_text("\n".join(lines), "utf-8")

    result = command(
        tmp_path / "models", "line", tmp_path / "pictures", "--out", tmp_path / "out", "--mistakes", 0
    )

    assert result.exit_code == 0, result.output
    [model] = report(tmp_path / "out")["models"]
    page = (tmp_path / "out" / "evaluation.html").read_text("utf-8")
    said = "trained on 89 pictures of these 90"
    assert model["met_before"] == {"trained_on": 89, "chosen_by": 0, "on_earlier_side": 0}
    assert model["claims_accuracy"] is False
    assert said in page[: page.index("<h2")]
    assert any(said in note for note in report(tmp_path / "out")["notes"])
    assert said in result.output
    assert "accuracy 0." not in result.output


def test_views_of_one_animal_are_counted_as_one(models: Path, pictures: Path, tmp_path: Path) -> None:
    """And a damaged picture keeps its true class, though the second model's classes stand in another order."""
    out, folder = tmp_path / "out", tmp_path / "pictures"
    shutil.copytree(pictures, folder)
    (folder / CLASSES[0] / "cut.jpg").write_bytes(damaged_file())

    result = command(
        models, "line", "other", folder, "--out", out, "--mistakes", 0, "--painted", 0,
        "--group-by", r"^(\w+)/",
    )  # fmt: skip

    assert result.exit_code == 0, result.output
    found = report(out)
    assert [model["groups"] for model in found["models"]] == [3, 3]
    assert found["models"][0]["classes_below"]["classes"] == dict.fromkeys(CLASSES, 1)
    assert found["comparison"]["test"] == "sign-flip over groups"
    assert "sign-flip test over 3 groups" in result.output
    assert "fewer than 30 groups" in result.output
    [damaged] = [row for row in rows(out) if row["error"]]
    assert (damaged["file"], damaged["true"]) == (f"{CLASSES[0]}/cut.jpg", CLASSES[0])
    page = (out / "evaluation.html").read_text("utf-8")
    assert "24 pictures in 3 groups" in page
    assert "Wilson" not in page
    low, high = found["models"][0]["accuracy_95"]
    assert high - low > 0.4  # of 24 independent pictures: at most 0.38


def test_a_page_says_that_pictures_are_taken_as_independent(one: Path) -> None:
    assert "Pictures are taken as independent." in (one / "evaluation.html").read_text("utf-8")
    assert report(one)["models"][0]["groups"] is None


def test_groups_that_no_picture_names_are_refused(models: Path, pictures: Path, tmp_path: Path) -> None:
    result = command(models, "line", pictures, "--out", tmp_path / "out", "--group-by", "carcass(.*)")

    assert isinstance(result.exception, InvalidRequest)
    assert "no picture of the folder says a group" in result.exception.message
