"""`lineside export`: the form in the bundle, proved, whole or not at all, and served from there."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
from support.bundles import write_random_bundle
from support.disk import files_at_most
from support.pictures import picture_file
from support.server import test_settings, threaded_server
from typer.testing import CliRunner

from app.cli.main import app

run = CliRunner()
GOLDEN = {"a.png": picture_file(1, "PNG"), "b.png": picture_file(2, "PNG")}


def export(models: Path, bundle: str = "line") -> tuple[int, dict[str, Any]]:
    """Exit code and the JSON."""
    result = run.invoke(app, ["export", bundle, "--models", str(models), "--json"])
    return result.exit_code, json.loads(result.stdout)


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below with its time and bytes, and every folder."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        if path.is_file()
        else (0, b"")
        for path in folder.rglob("*")
    }


def test_the_form_lies_in_the_bundle_and_is_what_serves(tmp_path: Path) -> None:
    """A second time it is kept; the server converts nothing, and reads a copy of its own."""
    write_random_bundle(tmp_path / "models", golden=GOLDEN)

    code, report = export(tmp_path / "models")
    before = everything(tmp_path / "models")
    code_again, again = export(tmp_path / "models")
    shown = run.invoke(app, ["export", "line", "--models", str(tmp_path / "models")])
    cache = tmp_path / "cache"
    with threaded_server(test_settings(tmp_path / "models", cache_folder=cache)) as url:
        [model] = httpx.get(f"{url}/models").json()["models"]
        answer = httpx.post(f"{url}/predict", content=GOLDEN["a.png"], timeout=60)

    assert (code, report["status"], report["golden"]["holds"]) == (0, "exported", True)
    assert report["golden"]["max_probability_difference"] < 1e-4
    assert report["sum_rule_error"] < 1e-4
    folder = tmp_path / "models" / "line" / "1" / "openvino"
    assert {path.name for path in folder.iterdir()} == {"float32.xml", "float32.bin", "float32.json"}
    assert report["form"]["bytes"] == sum(
        (folder / f"float32.{end}").stat().st_size for end in ("xml", "bin")
    )
    assert (code_again, again["status"], again["form"]["sha256"]) == (0, "kept", report["form"]["sha256"])
    assert everything(tmp_path / "models") == before
    assert "it has its form already" in shown.output
    assert (model["state"], model["engine"]) == ("ready", "openvino")
    assert answer.status_code == 200
    (copied,) = (cache / "openvino").iterdir()
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }


def test_a_damaged_form_is_replaced_and_the_int8_one_stays(tmp_path: Path) -> None:
    bundle = write_random_bundle(tmp_path, golden=GOLDEN)
    export(tmp_path)
    folder = bundle.folder / "openvino"
    for name in ("int8.xml", "int8.bin", "int8.json"):
        (folder / name).write_bytes(b"somebody's")
    numbers = (folder / "float32.bin").read_bytes()
    (folder / "float32.bin").write_bytes(numbers[:-1] + bytes([numbers[-1] ^ 1]))

    code, report = export(tmp_path)

    assert (code, report["status"]) == (0, "exported")
    assert "damaged" in report["form"]["replaced"]
    assert (folder / "float32.bin").read_bytes() == numbers
    assert all((folder / f"int8.{end}").read_bytes() == b"somebody's" for end in ("xml", "bin", "json"))
    assert [path.name for path in bundle.folder.iterdir() if path.name.startswith(".")] == []


def test_a_bundle_that_does_not_hold_gets_no_form(tmp_path: Path) -> None:
    bundle = write_random_bundle(tmp_path, golden=GOLDEN)
    manifest = bundle.folder / "model.toml"
    manifest.write_text(manifest.read_text("utf-8").replace('"bilinear"', '"nearest"'), "utf-8")
    before = everything(tmp_path)

    code, report = export(tmp_path)

    assert (code, report["status"]) == (1, "refused")
    assert "golden images" in report["reason"]
    assert everything(tmp_path) == before


def test_on_a_full_disk_nothing_is_left(tmp_path: Path) -> None:
    write_random_bundle(tmp_path, golden=GOLDEN)
    before = everything(tmp_path)

    with files_at_most(100_000):
        code, report = export(tmp_path)

    assert (code, report["status"]) == (1, "refused")
    assert "float32" in report["reason"]
    assert everything(tmp_path) == before


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    bundle = write_random_bundle(tmp_path / "models")
    (tmp_path / "elsewhere").mkdir()
    (bundle.folder / "openvino").symlink_to(tmp_path / "elsewhere")

    code, report = export(tmp_path / "models")

    assert (code, report["status"]) == (1, "refused")
    assert "no folder of its own" in report["reason"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_name_that_is_not_there_ends_with_code_2(tmp_path: Path) -> None:
    write_random_bundle(tmp_path)

    code, report = export(tmp_path, "lime")

    assert (code, report["status"]) == (2, "invalid")
    assert "did you mean `line`?" in report["reason"]


def test_without_golden_images_it_says_that_little_is_proved(tmp_path: Path) -> None:
    write_random_bundle(tmp_path)

    code, report = export(tmp_path)

    assert (code, report["golden"]) == (0, None)
    assert "no golden images" in report["warnings"][0]


def test_terminated_it_leaves_nothing(tmp_path: Path) -> None:
    """As docker stop ends it, in the middle."""
    bundle = write_random_bundle(tmp_path, golden=GOLDEN)
    before = everything(tmp_path)
    command = [Path(sys.executable).parent / "lineside", "export", "line", "--models", tmp_path]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        while not list(bundle.folder.glob(".openvino.writing-*")):
            assert process.poll() is None, process.communicate()
    finally:
        process.terminate()
        process.communicate(timeout=120)

    assert process.returncode == 128 + signal.SIGTERM
    assert everything(tmp_path) == before
