"""The file is read back by shells, docker and the server alike."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.tunings import measured, row

from app.settings import Settings, load_settings
from app.tuning.choosing import Limits, choose
from app.tuning.env_file import env_text, settings_of
from app.tuning.measured import Measured

LIMITS = Limits(deadline_s=2.0, max_requests=256, max_queue_bytes=256 * 2**20)
TIMES = {1: 0.020, 2: 0.030, 4: 0.050, 8: 0.099, 16: 0.197}
CASES = {
    "float32": measured(row(seconds=TIMES)),
    "int8": measured(row(precision="int8", threads=1, seconds=TIMES), is_quantised=True),
    "float32 of a quantised bundle": measured(row(seconds=TIMES), is_quantised=True),
    "torch": measured(row("torch", seconds=TIMES)),
    "gpu": measured(row("torch", threads=None, seconds=TIMES), cores=16),
    "no golden images": measured(row(seconds=TIMES, difference=None)),
}


def as_docker_reads(text: str) -> dict[str, str]:
    """docker run --env-file: whole lines that are no comments, values to the letter."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def as_a_shell_reads(text: str, folder: Path) -> dict[str, str]:
    """`set -a; . ./lineside.env`."""
    (folder / "lineside.env").write_text(text, "utf-8")
    shell = shutil.which("sh")
    assert shell is not None
    said = subprocess.run(
        [shell, "-c", "set -a; . ./lineside.env; env"],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stderr == ""
    return {
        name: value
        for name, value in (line.split("=", 1) for line in said.stdout.splitlines() if "=" in line)
        if name.startswith("LINESIDE_")
    }


@pytest.mark.parametrize("case", CASES)
def test_settings_read_back_are_the_recommended_ones(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a shell and by docker alike."""
    given: Measured = CASES[case]
    chosen = choose(given, LIMITS)
    assert chosen is not None
    text = env_text(chosen, given, LIMITS)
    (tmp_path / "1]").touch()  # a shell that took [1,2] for a pattern would find this

    variables = as_docker_reads(text)
    assert as_a_shell_reads(text, tmp_path) == variables
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    read: Settings = load_settings()

    assert read.device == given.here.device
    assert read.inference_threads == chosen.configuration.threads
    assert read.image_threads == chosen.image_threads
    assert read.batch_sizes == chosen.batch_sizes
    assert read.max_queue_entries == chosen.max_queue_entries
    assert (read.engine, read.precision) == (chosen.engine_setting, chosen.precision_setting)
    assert set(variables) == {f"LINESIDE_{name.upper()}" for name in settings_of(chosen, given)}


def test_each_setting_says_what_was_measured() -> None:
    given = CASES["int8"]
    chosen = choose(given, LIMITS)
    assert chosen is not None

    lines = env_text(chosen, given, LIMITS).splitlines()

    assert any("A processor, 2 cores" in line for line in lines)
    assert any("on 2026-11-25" in line for line in lines)
    for at, line in enumerate(lines):
        if not line.startswith("#") and line:
            assert lines[at - 1].startswith("# "), line
    assert lines[lines.index("LINESIDE_PRECISION=auto") - 1].startswith(
        "# auto takes int8 for line version 3;"
    )


@pytest.mark.parametrize(
    ("case", "engine", "precision"),
    [
        ("int8", "auto", "auto"),
        ("float32", "auto", "auto"),
        ("float32 of a quantised bundle", "auto", "float32"),
        ("torch", "torch", "auto"),
    ],
)
def test_only_what_the_server_would_not_take_by_itself_is_named(
    case: str, engine: str, precision: str
) -> None:
    """LINESIDE_PRECISION=int8 would refuse every other bundle of the repository that is not quantised."""
    chosen = choose(CASES[case], LIMITS)
    assert chosen is not None

    assert (chosen.engine_setting, chosen.precision_setting) == (engine, precision)
