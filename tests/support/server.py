"""Servers on real sockets: in a thread of this process (quick), or as the command that users run."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from app.api.app import create_app
from app.api.server import server_for
from app.settings import Settings

PATIENCE_S = 120.0
"""A shared machine may take long to import torch; a test that waits this long has failed anyway."""


def test_settings(repository: Path, **knobs: Any) -> Settings:
    """Small and quick; every knob can be given. A promise that no engine makes is tested with `torch`, which converts nothing."""
    defaults: dict[str, Any] = {
        "model_repository": repository,
        "port": 0,
        "device": "cpu",
        "batch_sizes": (1, 2, 4),
        "shutdown_grace_s": 0.0,
        "default_deadline_ms": 30_000,
        "log_level": "warning",
    }
    return Settings(**(defaults | knobs))


test_settings.__test__ = False  # type: ignore[attr-defined]


def wait_until_loaded(url: str, *, patience_s: float = PATIENCE_S) -> None:
    """Until nothing is loading any more, ready or not."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        try:
            reasons = httpx.get(f"{url}/readyz").json()["reasons"]
            models = httpx.get(f"{url}/models").json()["models"]
        except httpx.TransportError:
            reasons, models = ["no connection"], []
        waiting = any("being read" in reason or "no connection" in reason for reason in reasons)
        if not waiting and not any(model["state"] == "loading" for model in models):
            return
        time.sleep(0.05)
    raise AssertionError(f"{url} was still loading after {patience_s} s")


@contextmanager
def threaded_server(settings: Settings) -> Iterator[str]:
    """The application and its server in a thread; the address."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = server_for(create_app(settings), drain_timeout_s=settings.drain_timeout_s)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        end = time.monotonic() + PATIENCE_S
        while not server.started:
            assert thread.is_alive(), "the server ended while starting"
            assert time.monotonic() < end
            time.sleep(0.01)
        wait_until_loaded(url)
        yield url
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "the server did not end"


@dataclass
class ServerProcess:
    """`lineside serve`, running."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def rss_mib(self) -> float:
        """Resident memory."""
        return psutil.Process(self.process.pid).memory_info().rss / 2**20

    def terminate(self) -> None:
        """What docker stop sends."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Exit code."""
        return self.process.wait(PATIENCE_S)


@contextmanager
def server_process(
    repository: Path, log: Path, *, wait: bool = True, command: Path | None = None, **environment: str
) -> Iterator[ServerProcess]:
    """The command that users run, by default this environment's, with LINESIDE_ variables by their short names."""
    variables = {
        "MODEL_REPOSITORY": str(repository),
        "PORT": "0",
        "DEVICE": "cpu",
        "PRECISION": "float32",
        "SHUTDOWN_GRACE_S": "0",
        "DEFAULT_DEADLINE_MS": "30000",
    } | environment
    env = {key: value for key, value in os.environ.items() if not key.startswith("LINESIDE_")}
    env |= {f"LINESIDE_{key}": value for key, value in variables.items()}
    command = command or Path(sys.executable).parent / "lineside"
    with log.open("wb") as stderr:
        process = subprocess.Popen([command, "serve"], env=env, stderr=stderr, stdout=stderr)
    try:
        url = _address(process, log)
        if wait:
            wait_until_loaded(url)
        yield ServerProcess(url, process, log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE_S)


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if found := re.search(r"listening on (http://[0-9.]+:\d+)", log.read_text("utf-8")):
            url = found[1]
            try:
                httpx.get(f"{url}/livez")
            except httpx.TransportError:
                pass  # told before uvicorn accepts
            else:
                return url
        assert process.poll() is None, log.read_text("utf-8")
        time.sleep(0.05)
    raise AssertionError(log.read_text("utf-8"))
