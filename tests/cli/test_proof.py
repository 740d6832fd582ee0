"""From a tutorial's checkpoint to a bundle, and what the server says when anything of it is changed afterwards."""

import json
import shutil
from pathlib import Path

import httpx
import pytest
import torch
from safetensors import safe_open
from support.foreign import CLASSES, tutorial_network
from support.pictures import picture_file
from support.server import test_settings, threaded_server
from typer.testing import CliRunner

from app.cli.main import app

run = CliRunner()
SMALL = """[preprocess]
steps = [{ resize_shorter = 73, interpolation = "bilinear" }, { crop = [64, 64], anchor = "center" }]
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`lineside import best.pth --images ...`: a resnet18 as the tutorial saves it -> models/whole/1."""
    room = tmp_path_factory.mktemp("import")
    torch.save(tutorial_network().state_dict(), room / "best.pth")
    (room / "small.toml").write_text(SMALL, "utf-8")
    for number in range(6):
        path = room / "val" / CLASSES[number % 3] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture_file(number))
    options = ["--classes", ",".join(CLASSES), "--images", str(room / "val")]
    options += ["--preprocess", str(room / "small.toml"), "--out", str(room / "models" / "whole")]
    ended = run.invoke(app, ["import", str(room / "best.pth"), *options])
    assert ended.exit_code == 0, ended.output
    return room / "models" / "whole" / "1"


def flip_a_byte(bundle: Path) -> None:
    """The lowest bits of one number in the middle of the file: no prediction moves by anything that shows."""
    path = bundle / "weights.safetensors"
    with safe_open(path, "pt") as file:
        assert "layer3.0.conv1.weight" in file.keys()  # noqa: SIM118 - no mapping
    data = bytearray(path.read_bytes())
    position = len(data) // 2 // 4 * 4
    data[position] ^= 0x01
    path.write_bytes(data)


def change_a_step(bundle: Path) -> None:
    edit(bundle, '"bilinear"', '"box"')


def change_the_scale(bundle: Path) -> None:
    edit(bundle, 'scale = "1/255"', 'scale = "1/254"')


def change_the_order(bundle: Path) -> None:
    edit(bundle, '["castrate", "boar", "female"]', '["boar", "castrate", "female"]')


def edit(bundle: Path, before: str, after: str) -> None:
    path = bundle / "model.toml"
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after), "utf-8")


CHANGES = {
    "weights": (flip_a_byte, "`weights.safetensors` is not the file whose logits were recorded"),
    "step": (change_a_step, "`steps` of [preprocess] was"),
    "scale": (change_the_scale, "`scale` of [preprocess] was 0.00392156862745098"),
    "order": (change_the_order, "recorded for the classes `castrate`, `boar` and `female`, in this order"),
}


def test_any_change_after_the_import_keeps_the_server_from_being_ready(
    imported: Path, tmp_path: Path
) -> None:
    """One bit of the weights, one step, the scale, the order of classes: 503, each with its own reason."""
    for name, (change, _) in CHANGES.items():
        shutil.copytree(imported, tmp_path / name / "1")
        change(tmp_path / name / "1")
    shutil.copytree(imported, tmp_path / "whole" / "1")

    with threaded_server(test_settings(tmp_path, batch_sizes=(1,), engine="torch")) as url:
        reply = httpx.get(f"{url}/readyz")
        models = {model["name"]: model for model in httpx.get(f"{url}/models").json()["models"]}

    assert reply.status_code == 503
    for name, (_, reason) in CHANGES.items():
        assert any(f"{name} version 1" in said and reason in said for said in reply.json()["reasons"]), name
        assert models[name]["state"] == "refused"
    assert models["whole"]["state"] == "ready"


def test_unchanged_it_is_ready(imported: Path) -> None:
    """So the refusals above are the changes'."""
    with threaded_server(test_settings(imported.parents[1], batch_sizes=(1,), engine="torch")) as url:
        reply = httpx.get(f"{url}/readyz")

    assert (reply.status_code, reply.json()["reasons"]) == (200, [])


def test_verify_shows_by_how_much_a_change_shows(imported: Path, tmp_path: Path) -> None:
    """A change below the tolerance is still refused, and the table says how small it is."""
    shutil.copytree(imported, tmp_path / "line" / "1")
    change_the_scale(tmp_path / "line" / "1")

    ended = run.invoke(app, ["verify", "line", "--models", str(tmp_path), "--device", "cpu", "--json"])
    report = json.loads(ended.stdout)

    assert ended.exit_code == 1
    assert "although they still hold" in report["reason"]
    assert 0 < report["golden"]["max_probability_difference"] < 0.02
