"""The command on real pictures, at full length: scikit-learn's 1,797 handwritten digits."""

import csv
from pathlib import Path

import httpx
import pytest
import torch
from safetensors.torch import load_file
from support.digits import write_digits
from support.server import test_settings, threaded_server
from typer.testing import CliRunner

from app.bundles.repository import open_bundle
from app.cli.main import app
from app.nets.servable import servable_state
from app.training.configuration import read_configuration
from app.training.finetune import finetune
from app.training.watch import Watcher

CONFIG = Path(__file__).resolve().parents[2] / "examples" / "digits.toml"
pytestmark = pytest.mark.slow


def test_resnet18_from_no_weights_and_the_server_agrees_to_the_image(tmp_path: Path) -> None:
    """At least 97 % of a held-out third; every answer over HTTP is the measured one."""
    folder, models = write_digits(tmp_path / "digits"), tmp_path / "models"
    words = [
        "finetune",
        folder,
        "--config",
        CONFIG,
        "--out",
        models / "digits",
        "--set",
        "outputs.pred_sol=true",
    ]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output

    text = (models / "digits" / "1" / "training" / "pred.sol").read_text("utf-8")
    measured = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    with threaded_server(test_settings(models)) as url, httpx.Client(base_url=url) as client:
        served = [
            client.post("/predict", content=(folder / row["FILE"]).read_bytes()).json()["class"]
            for row in measured
        ]

    right = sum(row["TRUE"] == row["PRED"] for row in measured)
    print(f"{right} of {len(measured)} right")  # noqa: T201 - shown by pytest -s
    assert len(measured) == 599
    assert right >= 0.97 * 599
    assert served == [row["PRED"] for row in measured]


def test_a_trunk_of_five_digits_serves_the_other_five_and_does_not_move(tmp_path: Path) -> None:
    """At least 85 % with nothing but a new head; no tensor of the trunk changes, buffers included."""
    first_half = write_digits(tmp_path / "first", digits=range(5))
    other_half = write_digits(tmp_path / "other", digits=range(5, 10))
    words = ["finetune", first_half, "--config", CONFIG, "--out", tmp_path / "models" / "trunk"]
    # ResNet-18 leaves one cell of 32 pixels, made for its own five digits: 83 % on the other five.
    words += ["--architecture", "cifar_resnet14", "--epochs", 12]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    start = tmp_path / "models" / "trunk" / "1"
    changed = {
        "architecture": "cifar_resnet14",
        "start": str(start),
        "training.freeze": "head",
        "training.epochs": 40,
        "optimiser.learning_rate": 0.05,
        "augmentation.preset": "none",
    }
    configuration = read_configuration(CONFIG.read_bytes(), changed, name="changed")

    trained = finetune(
        other_half, configuration, work_folder=tmp_path / "work", max_pixels=10_000, watcher=Watcher()
    )

    assert trained.test is not None
    print(f"{trained.test.accuracy:.2%} of {len(trained.test.labels)}")  # noqa: T201 - shown by pytest -s
    assert trained.test.accuracy >= 0.85
    before, after = load_file(open_bundle(start).weights_path), servable_state(trained.servable)
    trunk = [name for name in before if not name.startswith("fc.")]
    assert len(trunk) > 60
    assert all(torch.equal(before[name], after[name]) for name in trunk)
