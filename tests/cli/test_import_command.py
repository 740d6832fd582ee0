"""`lineside import`: exit codes, the table, the JSON, versions, and what the server says of the result."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from support.bundles import random_servable
from support.disk import files_at_most
from support.pictures import picture_file
from support.server import test_settings, threaded_server
from typer.testing import CliRunner

from app.cli.import_options import Options
from app.cli.main import app
from app.domain import NetworkSpec, Size
from app.errors import InvalidRequest
from app.nets.servable import servable_state

run = CliRunner()
SMALL = '[preprocess]\nsteps = [{ resize = [32, 32], interpolation = "bilinear" }]\n'


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A small network's state dict, and beside it the preprocessing as a TOML file."""
    servable = random_servable(NetworkSpec("cifar_resnet14", 3, Size(32, 32)), seed=0)
    torch.save(servable_state(servable), tmp_path / "best.pth")
    (tmp_path / "small.toml").write_text(SMALL, "utf-8")
    return tmp_path / "best.pth"


def command(checkpoint: Path, *more: str) -> tuple[int, dict[str, Any]]:
    """Exit code and the JSON."""
    small = str(checkpoint.parent / "small.toml")
    result = run.invoke(app, ["import", str(checkpoint), "--preprocess", small, "--json", *more])
    return result.exit_code, json.loads(result.stdout)


def test_the_bundle_serves_and_a_second_import_is_the_next_version(checkpoint: Path) -> None:
    models = checkpoint.parent / "models"
    out = ["--classes", "castrate,boar,female", "--out", str(models / "line")]

    first, report = command(checkpoint, *out)
    second, again = command(checkpoint, *out)

    assert (first, second) == (0, 0), (report, again)
    assert report["bundle"]["golden_difference"] < 1e-5
    assert (report["bundle"]["version"], again["bundle"]["version"]) == (1, 2)
    with threaded_server(test_settings(models, engine="torch")) as url:
        assert httpx.get(f"{url}/readyz").status_code == 200
        reply = httpx.post(f"{url}/predict", content=picture_file(0)).json()
    assert reply["model"]["version"] == 2
    assert reply["class"] in {"castrate", "boar", "female"}


def test_questions_end_with_code_2_and_name_their_options(checkpoint: Path) -> None:
    result = run.invoke(app, ["import", str(checkpoint), "--out", str(checkpoint.parent / "models" / "line")])

    assert result.exit_code == 2
    assert "--classes" in result.output
    assert "--preprocess" in result.output
    assert "cifar_resnet14" in result.output
    assert not (checkpoint.parent / "models").exists()


def test_a_dry_run_writes_nothing(checkpoint: Path) -> None:
    before = sorted(checkpoint.parent.rglob("*"))

    code, report = command(checkpoint, "--classes", "a,b,c", "--dry-run")

    assert (code, report["status"]) == (0, "importable")
    assert report["found"]["architectures"] == ["cifar_resnet14"]
    assert sorted(checkpoint.parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--classes", "a,b", "--dry-run"], "3 outputs, 2 classes"),
        (["--classes", "a,b,c"], "--out models/NAME"),
        (["--classes", "a,b,c", "--dry-run", "--architecture", "resnet50"], "cifar_resnet14"),
        (["--classes", "a,b,c", "--dry-run", "--head-activation", "tanh"], "relu, none, or the positions"),
        (["--classes", "a,a,b", "--dry-run"], "repeated"),
    ],
)
def test_refusals_end_with_code_1_and_say_why(more: list[str], words: str, checkpoint: Path) -> None:
    code, report = command(checkpoint, *more)

    assert code == 1
    assert words in report["reason"]


@pytest.mark.parametrize(
    "text",
    [
        '{"암, 작은": 0, "10": 2, "boar": 1}',
        '["암, 작은", "boar", "10"]',
        '{"0": "암, 작은", "1": "boar", "2": "10"}',
        '{"class_to_idx": {"암, 작은": 0, "boar": 1, "10": 2}, "epoch": 3}',
        "\ufeff암, 작은\r\nboar\r\n\r\n10\r\n",
    ],
)
def test_a_scripts_own_list_of_classes_is_its_order(text: str, tmp_path: Path) -> None:
    """The order is not that of sorting, and a name with a comma cannot be typed."""
    (tmp_path / "classes").write_text(text, "utf-8", newline="")

    names = Options(tmp_path / "best.pth", classes_from=tmp_path / "classes").class_names()

    assert names == ("암, 작은", "boar", "10")


@pytest.mark.parametrize("data", [b'{"a": 0, "b": 2}', b'{"a": 1.5}', b"7", b"boar", b"", b"\xff\xfea"])
def test_a_file_that_lists_no_classes_is_refused_by_name(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "classes.json").write_bytes(data)

    with pytest.raises(InvalidRequest, match=r"--classes-from classes\.json"):
        Options(tmp_path / "best.pth", classes_from=tmp_path / "classes.json").class_names()


def test_golden_images_are_spread_over_the_classes(checkpoint: Path) -> None:
    folder = checkpoint.parent / "pictures"
    for number, name in enumerate(["10", "2", "boar"]):
        (folder / name).mkdir(parents=True)
        for each in range(9):
            (folder / name / f"{each}.png").write_bytes(picture_file(10 * number + each, "PNG"))
    out = str(checkpoint.parent / "models" / "line" / "7")

    code, report = command(checkpoint, "--classes-from", str(folder), "--images", str(folder), "--out", out)

    assert code == 0, report
    assert report["classes"] == ["10", "2", "boar"]
    golden = json.loads((Path(out) / "golden" / "golden.json").read_text("utf-8"))
    shown = [image["class"] for image in golden["images"]]
    assert len(shown) <= 16
    assert {shown.count(name) for name in report["classes"]} <= {4, 5, 6}
    assert golden["made_with"]["precision"] == "float32"


def test_what_the_system_refuses_is_one_line_and_leaves_nothing(checkpoint: Path) -> None:
    """A full disk, which safetensors tells in an error of its own, and a file where a folder should be."""
    folder = checkpoint.parent
    (folder / "file").touch()
    given = ["--classes", "a,b,c", "--out"]

    with files_at_most(100_000):
        full, told_full = command(checkpoint, *given, str(folder / "models" / "line"))
    inside, told_inside = command(checkpoint, *given, str(folder / "file" / "line"))

    assert (full, inside) == (1, 1)
    assert "File too large" in told_full["reason"]
    assert "Not a directory" in told_inside["reason"]
    assert sorted(path.name for path in folder.iterdir()) == ["best.pth", "file", "small.toml"]
