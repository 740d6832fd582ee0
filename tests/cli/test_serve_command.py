"""`lineside serve`: what goes wrong before anything is served is one line that names the fix."""

import os
import socket
import subprocess
import sys
from pathlib import Path

LINESIDE = Path(sys.executable).parent / "lineside"


def serve(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    env = {key: value for key, value in os.environ.items() if not key.startswith("LINESIDE_")} | environment
    return subprocess.run(
        [LINESIDE, "serve", *arguments], env=env, capture_output=True, text=True, timeout=120, check=False
    )


def test_taken_port_is_told_at_once_with_the_fix() -> None:
    """Not a traceback."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ended = serve("--port", str(other.getsockname()[1]))

    assert ended.returncode == 1
    assert "--port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_device_that_is_not_there_is_told_with_those_that_are() -> None:
    """SettingsInvalid, exit code 1."""
    ended = serve("--device", "cuda:99", "--port", "0")

    assert ended.returncode == 1
    assert "cuda:99" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_misspelt_setting_is_told_with_the_nearest_known_one() -> None:
    """A setting that does nothing is worse than none."""
    ended = serve("--port", "0", LINESIDE_DEFAULT_MODLE="x")

    assert ended.returncode == 1
    assert "LINESIDE_DEFAULT_MODEL" in ended.stderr


def test_interpreter_is_handed_over_soon_while_the_server_runs() -> None:
    """Else a thread that decodes would keep the event loop waiting for 5 ms (docs/adr/0011)."""
    program = (
        "import sys; from app.api.server import DrainingServer; from app.cli.main import main\n"
        "DrainingServer.run = lambda *_, **__: print('handed over after', sys.getswitchinterval())\n"
        "main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "serve", "--port", "0"],
        env={key: value for key, value in os.environ.items() if not key.startswith("LINESIDE_")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert "handed over after 0.0005" in ended.stdout
