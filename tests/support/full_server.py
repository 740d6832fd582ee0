"""A server whose only place is held, a door that is always shut, and what is said to them over a socket."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import httpx

from app.api import gate
from app.errors import QueueFull
from app.metrics import Metrics
from app.serving.admission import Admission
from support.pictures import picture_file
from support.server import test_settings, threaded_server

PICTURE = picture_file(1)


@contextmanager
def full_server(repository: Path) -> Iterator[str]:
    """Its only place is held by an upload that does not go on."""
    with threaded_server(test_settings(repository, max_requests=1)) as url, filled(url):
        yield url


@contextmanager
def filled(url: str) -> Iterator[None]:
    with connected(url) as slow:
        slow.sendall(head(b"Content-Length: 100", path=b"/predict?deadline_ms=30000") + b"abc")
        while httpx.post(f"{url}/predict", content=PICTURE).status_code == 200:  # until it was admitted
            pass
        yield


def connected(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname or "", address.port or 0), timeout=30)


def head(*headers: bytes, path: bytes = b"/predict", version: bytes = b"1.1") -> bytes:
    return b"\r\n".join((b"POST " + path + b" HTTP/" + version, b"Host: x", *headers, b"", b""))


def until_closed(connection: socket.socket) -> bytes:
    """All that the server says; a reset raises."""
    said = bytearray()
    while chunk := connection.recv(1 << 16):
        said += chunk
    return bytes(said)


def answer(url: str, path: str) -> tuple[int, str]:
    response = httpx.post(f"{url}{path}", content=PICTURE)
    return response.status_code, response.json().get("code", "")


class FullDoor:
    """Counts how often it was asked; stands for `Admission`."""

    def __init__(self) -> None:
        self.departures = 0
        self.asked = 0

    def room(self, **_wish: object) -> QueueFull:
        self.asked += 1
        return QueueFull(f"100 % full: {self.asked}", retry_after_s=3.0)

    def name_of(self, _model: str | None) -> str:
        return "line"


def gate_before(door: FullDoor) -> gate.Gate:
    return gate.Gate(
        cast("Admission", door),
        test_settings(Path("none")),
        Metrics(),
        paths=["/predict"],
        is_draining=lambda: False,
    )
