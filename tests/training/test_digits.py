"""The command on real pictures, at full length: scikit-learn's 1,797 handwritten digits."""

import csv
import json
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.digits import write_digits
from support.server import test_settings, threaded_server
from typer.testing import CliRunner

from app.bundles.repository import open_bundle
from app.cli.main import app
from app.evaluation.calibration import probabilities_at

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
    """The commands of docs/finetuning.md: at least 85 % with nothing but a new head, no tensor of the trunk changes."""
    first_half = write_digits(tmp_path / "first", digits=range(5))
    other_half = write_digits(tmp_path / "other", digits=range(5, 10))
    trunk, other = tmp_path / "models" / "trunk" / "1", tmp_path / "models" / "other-half" / "1"
    # ResNet-18 leaves one cell of 32 pixels, made for its own five digits: 83 % on the other five.
    same = ["finetune", "--config", CONFIG, "--architecture", "cifar_resnet14"]
    for more in (
        [first_half, "--epochs", 12, "--out", trunk],
        [
            other_half, "--start", trunk, "--freeze", "head", "--epochs", 40, "--learning-rate", 0.05,
            "--augmentation", "none", "--out", other,
        ],
    ):  # fmt: skip
        result = CliRunner().invoke(app, [str(word) for word in [*same, *more]])
        assert result.exit_code == 0, result.output

    test = json.loads((other / "training" / "evaluation.json").read_text("utf-8"))["models"][0]
    print(f"{test['accuracy']:.2%} of {test['labelled']}")  # noqa: T201 - shown by pytest -s
    assert test["name"] == "test side"
    assert test["accuracy"] >= 0.85
    before, after = (load_file(open_bundle(folder).weights_path) for folder in (trunk, other))
    names = [name for name in before if not name.startswith("fc.")]
    assert len(names) > 60
    assert all(torch.equal(before[name], after[name]) for name in names)


def test_a_network_that_is_too_sure_is_calibrated_and_served_so(tmp_path: Path) -> None:
    """Every fourth digit lies in the next one's folder and is learnt by heart, so what is said of others is too sure.

    The temperature of the validation side halves the calibration error of the test side, which it never saw.
    """
    folder, models = write_digits(tmp_path / "digits"), tmp_path / "models"
    for digit in range(10):
        for path in sorted((folder / str(digit)).glob("*.png"))[::4]:
            path.rename(folder / str((digit + 1) % 10) / f"moved-{path.name}")
    words = ["finetune", folder, "--config", CONFIG, "--out", models / "digits", "--augmentation", "none"]
    words += ["--architecture", "cifar_resnet14", "--epochs", 30, "--learning-rate", 0.01]
    words += ["--set", "preprocess.steps=[{ resize = [8, 8], interpolation = 'bilinear' }]"]
    words += ["--set", "data.validation_share=0.3333"]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output

    training = models / "digits" / "1" / "training"
    test = json.loads((training / "evaluation.json").read_text("utf-8"))["models"][0]
    before, after = test["calibration_error"], test["calibration_error_after_scaling"]
    print(f"{before:.3f} before, {after:.3f} after, temperature {test['temperature']}")  # noqa: T201 - shown by pytest -s
    assert test["name"] == "test side"
    assert test["temperature"] > 1.2
    assert before > 0.05
    assert after < before / 2

    with (training / "predictions.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == "test side"][:20]
    # The report's logits are float32; a CPU with bfloat16 would be served in it otherwise.
    with (
        threaded_server(test_settings(models, precision="float32")) as url,
        httpx.Client(base_url=url) as client,
    ):
        for row in rows:
            reply = client.post("/predict?top_k=10", content=(folder / row["file"]).read_bytes()).json()
            best = reply["top_k"][0]
            logits = np.array([each["logit"] for each in reply["top_k"]])
            assert best["class"] == row["predicted"]
            assert best["logit"] == pytest.approx(float(row[f"logit_{best['class']}"]), abs=1e-4)
            assert best["probability"] == pytest.approx(
                float(probabilities_at(logits, test["temperature"])[0]), abs=1e-6
            )
