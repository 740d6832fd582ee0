"""`docker compose up`, for real: built, started read-only as nobody, asked, stopped."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.pictures import picture_file

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
PROJECT = "lineside-test"


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def compose(*arguments: str, port: int) -> None:
    has_plugin = (
        subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    )
    command = ["docker", "compose"] if has_plugin else ["docker-compose"]
    # An engine without a copy-on-write driver copies the whole image to make a container.
    env = os.environ | {"ADDRESS": "127.0.0.1", "PORT": str(port), "COMPOSE_HTTP_TIMEOUT": "600"}
    done = subprocess.run([*command, "-p", PROJECT, *arguments], cwd=ROOT, env=env, check=False)
    assert done.returncode == 0


@pytest.fixture(scope="module")
def container() -> Iterator[tuple[str, str]]:
    """Its address and its id."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no Docker engine runs on this machine")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    docker("build", "--quiet", "--network", "host", "--tag", "lineside:0.1.0", ".")
    compose("up", "--detach", "--no-build", port=port)
    try:
        [identity] = docker(
            "ps", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}"
        ).split()
        yield f"http://127.0.0.1:{port}", identity
    finally:
        compose("down", port=port)


def healthy(identity: str) -> bool:
    return docker("inspect", "--format", "{{.State.Health.Status}}", identity) == "healthy"


def test_it_gets_healthy_answers_and_stops_cleanly(container: tuple[str, str]) -> None:
    """HEALTHCHECK asks /readyz; a picture is answered; SIGTERM ends it with exit code 0."""
    url, identity = container
    for _ in range(240):
        if healthy(identity):
            break
        time.sleep(0.5)
    else:
        raise AssertionError(docker("logs", identity))

    assert httpx.get(f"{url}/readyz").json()["ready"] is True
    reply = httpx.post(f"{url}/predict", content=picture_file(1), timeout=60)
    assert reply.status_code == 200, reply.text
    drawn = httpx.post(
        f"{url}/explain", content=picture_file(1), headers={"Accept": "image/jpeg"}, timeout=60
    )
    assert drawn.headers["content-type"] == "image/jpeg"
    assert "<title>Lineside" in httpx.get(f"{url}/").text

    inspected = json.loads(docker("inspect", identity))[0]
    assert inspected["Config"]["User"] == "10001:10001"
    assert inspected["HostConfig"]["ReadonlyRootfs"] is True
    assert all(not mount["RW"] for mount in inspected["Mounts"] if mount["Destination"] == "/models")
    assert docker("exec", identity, "id", "-u") == "10001"

    docker("stop", "--time", "30", identity)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", identity) == "0"
