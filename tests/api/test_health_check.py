"""The image's HEALTHCHECK, run here as Docker runs it in the container."""

import json
import os
import re
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from support.server import test_settings, threaded_server

DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"


def health_check(port: int) -> int:
    """Exit code of the image's HEALTHCHECK, with a proxy as Docker's client puts one into every container."""
    found = re.search(r"^HEALTHCHECK .*\\\n +CMD (\[.*\])$", DOCKERFILE.read_text("utf-8"), re.MULTILINE)
    assert found is not None
    env = os.environ | {"http_proxy": "http://127.0.0.1:9", "LINESIDE_PORT": str(port)}
    return subprocess.run(
        json.loads(found[1]), env=env, timeout=30, check=False, capture_output=True
    ).returncode


def test_health_check_asks_the_server_and_no_proxy(server: str) -> None:
    """A ready one."""
    assert health_check(urlsplit(server).port or 0) == 0


def test_health_check_fails_where_the_server_is_not_ready(tmp_path: Path) -> None:
    """It answers 503 then."""
    with threaded_server(test_settings(tmp_path)) as url:
        assert health_check(urlsplit(url).port or 0) == 1


def test_health_check_fails_where_nobody_listens() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))

        assert health_check(unheard.getsockname()[1]) == 1
