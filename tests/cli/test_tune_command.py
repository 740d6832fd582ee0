"""`lineside tune`: the whole command on the demo bundle, and what it refuses before it measures."""

import json
import os
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from support.bundles import write_random_bundle
from support.pictures import damaged_file, picture_file
from typer.testing import CliRunner

from app.bundles.repository import open_bundle
from app.cli.main import app
from app.cli.tune import TuneOptions, check_outputs
from app.errors import InvalidRequest, LinesideError
from app.settings import load_settings
from app.wiring import Machine
from app.wiring.engines import candidates

run = CliRunner()
DEMO = Path(__file__).parents[2] / "models" / "carcass-demo"


def command(folder: Path, *arguments: str) -> list[str]:
    """With both files in the folder."""
    out = ["--out", str(folder / "lineside.env"), "--plot", str(folder / "tune.svg")]
    return ["tune", *arguments, "--device", "cpu", "--seconds", "2", *out]


def test_demo_bundle_is_measured_and_its_settings_make_the_server_take_the_recommended_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lineside.env").symlink_to("box.env")  # the file that it leads to is written

    ended = run.invoke(app, [*command(tmp_path, str(DEMO)), "--json"])
    assert ended.exit_code == 0, ended.output
    report = json.loads(ended.stdout)

    for line in (tmp_path / "lineside.env").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            monkeypatch.setenv(*line.split("=", 1))
    settings = load_settings()
    precision, build = next(candidates(open_bundle(DEMO / "1"), Machine.of(settings), settings.batch_sizes))
    built = build()
    taken = (built.engine.runtime, precision)
    built.engine.close()

    recommended = report["recommended"]
    measured = {(row["engine"], row["precision"], row["threads"]): row for row in report["configurations"]}
    assert (recommended["engine"], recommended["precision"]) == taken
    assert list(settings.batch_sizes) == recommended["batch_sizes"]
    assert settings.inference_threads == recommended["threads"]
    assert {("openvino", "float32", 1), ("torch", "float32", 1)} <= set(measured)
    for row in measured.values():
        assert row["may_serve"]
        assert row["golden_difference"] < (1e-4 if row["precision"] == "float32" else 0.02)
        assert [batch["batch_size"] for batch in row["batches"]] == [1, 2, 4, 8, 16]
        assert all(batch["repeats"] >= 1 and batch["median_cpu_ms"] > 0 for batch in row["batches"])
    assert report["pictures"]["count"] == 8
    assert report["pictures"]["decode"]["median_ms"] > 0
    assert ET.fromstring((tmp_path / "tune.svg").read_bytes()).tag.endswith("svg")  # noqa: S314 - ours
    assert sorted(path.name for path in tmp_path.iterdir()) == ["box.env", "lineside.env", "tune.svg"]
    assert (tmp_path / "lineside.env").is_symlink()


def test_nothing_is_recommended_or_written_where_the_golden_images_hold_nowhere(tmp_path: Path) -> None:
    """The table is still shown, exit code 1."""
    shutil.copytree(DEMO, tmp_path / "models" / "line")
    manifest = tmp_path / "models" / "line" / "1" / "model.toml"
    manifest.write_text(manifest.read_text("utf-8").replace("1/255", "1/100"), "utf-8")

    ended = run.invoke(app, command(tmp_path, "line", "--models", str(tmp_path / "models")))

    assert isinstance(ended.exception, LinesideError)
    assert "nothing can be recommended" in ended.exception.message
    assert "FAILS" in ended.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_an_existing_file_stops_the_command_before_it_measures(tmp_path: Path) -> None:
    """Even one that is not the settings."""
    for name in ("lineside.env", "tune.svg"):
        (tmp_path / name).write_text("mine")

        ended = run.invoke(app, command(tmp_path, str(DEMO)))

        assert isinstance(ended.exception, InvalidRequest)
        assert f"{name} is there already" in ended.exception.message
        assert ended.stdout == ""
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()


def test_device_and_link_to_nothing_are_no_files_that_are_there(tmp_path: Path) -> None:
    """`--plot /dev/null` needs no --force; here the device is a terminal, which a mistake would not take from others."""
    screen, device = os.openpty()
    (tmp_path / "link.env").symlink_to("new.env")

    check_outputs(
        TuneOptions("demo", None, 1.0, out=tmp_path / "link.env", plot=Path(os.ttyname(device)), force=False)
    )

    os.close(screen)
    os.close(device)


@pytest.mark.parametrize(
    ("out", "plot", "said"),
    [
        ("a.env", "a.env", "both name"),
        (".", "a.svg", "is a folder"),
        ("there/is/none.env", "a.svg", "cannot be written"),
    ],
)
def test_output_that_cannot_be_is_told_first(out: str, plot: str, said: str, tmp_path: Path) -> None:
    files = ["--out", str(tmp_path / out), "--plot", str(tmp_path / plot)]

    ended = run.invoke(app, ["tune", str(DEMO), *files])

    assert isinstance(ended.exception, InvalidRequest)
    assert said in ended.exception.message


def test_bundle_without_golden_images_needs_pictures(tmp_path: Path) -> None:
    """What decoding costs depends on the camera; damaged ones are named."""
    write_random_bundle(tmp_path / "models", name="bare")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "torn.jpg").write_bytes(damaged_file())
    bare = ["bare", "--models", str(tmp_path / "models")]

    without = run.invoke(app, command(tmp_path, *bare))
    torn = run.invoke(app, command(tmp_path, *bare, "--images", str(tmp_path / "pictures")))
    (tmp_path / "pictures" / "whole.jpg").write_bytes(picture_file(1))
    whole = run.invoke(app, [*command(tmp_path, *bare, "--images", str(tmp_path / "pictures")), "--json"])

    assert isinstance(without.exception, InvalidRequest)
    assert "--images FOLDER" in without.exception.message
    assert isinstance(torn.exception, InvalidRequest)
    assert "torn.jpg was passed over" in torn.exception.message
    assert whole.exit_code == 0, whole.output
    report = json.loads(whole.stdout)
    assert report["pictures"]["count"] == 1
    assert any("torn.jpg was passed over" in note for note in report["notes"])
    assert report["recommended"]["precision"] == "float32"
