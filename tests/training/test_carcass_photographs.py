"""The first carcass classifier's configuration on the fifteen real photographs: all of it runs, nothing is claimed."""

import re
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from app.bundles.repository import open_bundle
from app.cli.main import app
from app.errors import TrainingRefused

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def command(*words: object) -> Result:
    return CliRunner().invoke(app, ["finetune", *map(str, words)])


def test_the_carcass_configuration_runs_on_the_photographs(
    carcass_photographs: list[Path], tmp_path: Path
) -> None:
    """Its crop, head, augmentation, decay and outputs; a small network for one epoch, so no accuracy is claimed."""
    folder = carcass_photographs[0].parent.parent
    result = command(
        folder, "--config", EXAMPLES / "carcass.toml", "--out", tmp_path / "models" / "pig-sex",
        "--start", "none", "--architecture", "cifar_resnet14", "--epochs", 1,
    )  # fmt: skip

    assert result.exit_code == 0, result.output
    bundle = open_bundle(tmp_path / "models" / "pig-sex" / "1")
    assert bundle.classes == ("castrate", "boar", "female")
    assert bundle.labels("ko") == ("거세", "수", "암")
    lines = (bundle.folder / "training" / "pred.sol").read_text("utf-8").splitlines()
    assert lines[0] == "FILE\tTRUE\tPRED\tprob"
    assert sorted(line.split("\t")[1] for line in lines[1:]) == ["boar", "castrate", "female"]
    report = (bundle.folder / "training" / "evaluation.html").read_text("utf-8")
    assert "Every boar (5 pictures) was photographed on another day than every other picture" in report
    assert "No accuracy is claimed" in report
    # Nor anywhere else: one of three pictures is no 33 %.
    summary = (bundle.folder / "training" / "summary.txt").read_text("utf-8")
    card = (bundle.folder / "README.md").read_text("utf-8")
    assert "accuracy: not claimed" in summary
    assert "No accuracy is claimed" in card
    assert not re.search(
        r"\d %|\d%", card + summary + result.output.rpartition("epoch 1")[2].partition("\n")[2]
    )


def test_the_photographs_cannot_be_split_by_day(carcass_photographs: list[Path], tmp_path: Path) -> None:
    """Every boar was photographed on one day: no honest figure exists for another."""
    folder = carcass_photographs[0].parent.parent
    result = command(
        folder, "--config", EXAMPLES / "carcass.toml", "--out", tmp_path / "models" / "pig-sex",
        "--start", "none", "--architecture", "cifar_resnet14", "--group-by", "day",
    )  # fmt: skip

    assert isinstance(result.exception, TrainingRefused)
    assert "2020-02-10" in result.exception.message or "2020-07-17" in result.exception.message
    assert not (tmp_path / "models").exists() or not any((tmp_path / "models").iterdir())
