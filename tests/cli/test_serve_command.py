"""`lineside serve`: what goes wrong before anything is served is one line that names the fix."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.api.server import DrainingServer
from app.cli.main import main
from app.cli.serve import run_server
from app.settings import Settings

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


def test_of_two_that_start_at_once_on_one_port_one_is_told(tmp_path: Path) -> None:
    """Not left to run without the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    env = {key: value for key, value in os.environ.items() if not key.startswith("LINESIDE_")}
    command = [LINESIDE, "serve", "--models", tmp_path, "--port", port]
    both = [subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        end = time.monotonic() + 120
        while all(one.poll() is None for one in both) and time.monotonic() < end:
            time.sleep(0.05)
        ended = [one for one in both if one.poll() is not None]
        assert [one.returncode for one in ended] == [1]
        assert "--port" in ended[0].communicate()[1]
    finally:
        for one in both:
            one.terminate()
            one.communicate(timeout=120)


def test_message_is_shown_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A name may look like the markup of what prints it."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["lineside", "tune", "a[/x][red]", "--models", str(tmp_path)])
    with pytest.raises(SystemExit):
        main()

    assert "a[/x][red]" in capsys.readouterr().err


def test_what_the_system_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Not a traceback."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["lineside", "verify", "a" * 300, "--models", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 1
    assert "File name too long: " in capsys.readouterr().err


def test_address_of_version_6_is_shown_as_browsers_read_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 on this machine")
    monkeypatch.setattr(DrainingServer, "run", lambda _self, sockets: [one.close() for one in sockets])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    run_server(Settings(host="::1", port=0, model_repository=tmp_path, device="cpu", log_format="text"))

    assert "listening on http://[::1]:" in capsys.readouterr().err


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


def test_process_is_prepared_when_the_server_runs() -> None:
    """The interpreter is handed over soon, else a thread that decodes would keep the event loop waiting for 5 ms
    (docs/adr/0011). There may be as many connections as the system allows, not what processes begin with. A terminal that
    is closed (SIGHUP) ends no process amid its answers.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    program = (
        "import resource, signal, sys; from app.api.server import DrainingServer; from app.cli.main import main\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (min(200, {most}), {most}))\n"
        "DrainingServer.run = lambda *_, **__: signal.raise_signal(signal.SIGHUP) or print("
        "'handed over after', sys.getswitchinterval(), 'files', resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
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
    assert f"handed over after 0.0005 files {most}\n" in ended.stdout
