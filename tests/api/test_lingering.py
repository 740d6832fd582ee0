"""How connections end: every client gets its answer, still sending or not, and nobody holds the server for good."""

import asyncio
import contextlib
import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from support.full_server import FullDoor, connected, filled, full_server, gate_before, head, until_closed
from support.pictures import picture_file
from support.server import test_settings, threaded_server
from support.wire import Wire

from app.api import gated_protocol, lingering
from app.api.gated_protocol import GatedProtocol

BODY = bytes(4_000_000)
LENGTH = b"Content-Length: %d" % len(BODY)
CLOSE = b"Connection: close"
CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.mark.parametrize(
    ("said", "body", "status"),
    [
        (head(LENGTH, CLOSE, path=b"/predict?model=none"), BODY, b"404"),
        (head(LENGTH, CLOSE, path=b"/predict?top_k=0"), BODY, b"422"),
        (head(LENGTH, path=b"/predict?top_k=0", version=b"1.0"), BODY, b"422"),
        (head(CHUNKED, CLOSE, path=b"/predict?top_k=0"), CHUNKS, b"422"),
        (head(LENGTH, CLOSE, path=b"/nothing-here"), BODY, b"404"),
        (head(LENGTH, CLOSE).replace(b"POST", b"PUT"), BODY, b"405"),
        (head(LENGTH, CLOSE), BODY, b"413"),
        (head(b"Content-Length: x", CLOSE), BODY, b"400"),
    ],
)
def test_answer_that_comes_before_the_body_was_sent_is_read_behind_it(
    repository: Path, said: bytes, body: bytes, status: bytes
) -> None:
    """As urllib does it: all of the body, then the answer. A reset would cost it the answer, though not every time."""
    with threaded_server(test_settings(repository, max_body_mib=1)) as url:
        for _ in range(3):
            with connected(url) as connection:
                connection.sendall(said + body)
                assert until_closed(connection).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(
    ("said", "body"),
    [
        (head(LENGTH, b"Expect: 100-continue"), BODY),
        (head(CHUNKED, CLOSE), CHUNKS),
    ],
)
def test_full_server_is_told_to_who_sends_all_the_same(repository: Path, said: bytes, body: bytes) -> None:
    with full_server(repository) as url:
        for _ in range(3):
            with connected(url) as connection:
                connection.sendall(said + body)
                assert until_closed(connection).startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize("path", [b"/predict?top_k=0", b"/predict?model=none"])
def test_who_was_never_told_to_go_on_is_told_that_the_connection_ends(repository: Path, path: bytes) -> None:
    """Whether a body follows nobody knows, so what follows could be taken for one."""
    with threaded_server(test_settings(repository)) as url, connected(url) as connection:
        connection.sendall(head(b"Content-Length: 100", b"Expect: 100-continue", path=path))
        answered = until_closed(connection)

    assert answered.split(b"\r\n")[0].split()[1] in {b"404", b"422"}
    assert answered.count(b"\r\nconnection: close\r\n") == 1


def test_who_was_told_to_go_on_keeps_the_connection(repository: Path) -> None:
    picture = picture_file(1)
    with threaded_server(test_settings(repository)) as url, connected(url) as connection:
        for _ in range(2):
            connection.sendall(head(b"Content-Length: %d" % len(picture), b"Expect: 100-continue"))
            assert connection.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(picture)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 OK\r\n")


def test_who_is_refused_while_the_server_ends_may_finish_what_it_sends(repository: Path) -> None:
    outcome: list[bytes] = []
    asked = threading.Event()

    def ask(url: str) -> None:
        with connected(url) as connection:
            connection.sendall(head(LENGTH) + BODY[:1_000_000])
            asked.set()
            for start in range(1_000_000, len(BODY), 500_000):
                connection.sendall(BODY[start : start + 500_000])
                has_ended.wait(0.05)
            outcome.append(until_closed(connection))

    has_ended = threading.Event()
    with threaded_server(test_settings(repository, max_requests=1)) as url, filled(url):
        client = threading.Thread(target=ask, args=(url,))
        client.start()
        asked.wait(30)
        while httpx.get(f"{url}/livez").status_code != 200:
            pass
    has_ended.set()
    client.join(30)

    assert outcome[0].startswith(b"HTTP/1.1 503 ")


def knock(connection: socket.socket) -> None:
    """Until nobody is there any more, for half a minute."""
    for _ in range(300):
        connection.sendall(b"x")
        threading.Event().wait(0.1)


@contextmanager
def long_answer(repository: Path) -> Iterator[socket.socket]:
    """On its way to a client that holds little: 5 MB, which no kernel keeps between the two."""
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG")
    said = head(b"Content-Length: %d" % file.tell(), b"Accept: image/png", CLOSE, path=b"/explain")
    with threaded_server(test_settings(repository)) as url, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", int(url.rpartition(":")[2])))
        connection.sendall(said + file.getvalue())
        yield connection


def test_who_does_not_read_the_answer_is_cut_off(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the answer would stay in memory, and the server's end wait for it."""
    monkeypatch.setattr(lingering, "LINGER_S", 0.2)
    with long_answer(repository) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        with pytest.raises(OSError, match=r"reset|pipe"):
            knock(connection)


def test_who_reads_slowly_gets_all_of_the_answer(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "LINGER_S", 0.5)
    with long_answer(repository) as connection:
        start, _, body = connection.recv(1 << 14).partition(b"\r\n\r\n")
        length, count = int(start.lower().partition(b"content-length: ")[2].split()[0]), len(body)
        while chunk := connection.recv(1 << 16):
            count += len(chunk)
            threading.Event().wait(0.01)

    assert length > 4_000_000
    assert count == length


async def test_answer_that_nobody_takes_is_dropped_and_one_that_is_taken_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    wire = Wire(None, {}, loop=clock)
    wire.unsent = 100
    wire.protocol.timeout_keep_alive_handler()
    wire.unsent = 50
    clock.strike()
    is_taken = wire.is_cut_off
    clock.strike()

    assert (is_taken, wire.is_cut_off) == (False, True)
    assert clock.waiting == []


class Clock:
    """An event loop's timers, which strike when they are told to."""

    def __init__(self) -> None:
        self.waiting: list[Clock.Timer] = []

    class Timer:
        def __init__(self, clock: "Clock", call: Any) -> None:
            self.clock = clock
            self.call = call

        def cancel(self) -> None:
            if self in self.clock.waiting:
                self.clock.waiting.remove(self)

    def call_later(self, _seconds: float, call: Any) -> "Clock.Timer":
        timer = Clock.Timer(self, call)
        self.waiting.append(timer)
        return timer

    def strike(self) -> None:
        for timer in list(self.waiting):
            self.waiting.remove(timer)
            timer.call()


def after_a_while(wire: Wire) -> bool:
    """Whether it is cut off once it has been silent for longer than a connection may be."""
    wire.protocol.hang_up_if_late(time.monotonic() + wire.protocol.config.timeout_keep_alive + 1)
    return wire.is_cut_off


@pytest.mark.parametrize("said", [b"", b"P", b"POST /pre", b"GET /li"])
async def test_half_a_head_is_not_waited_for_without_end(said: bytes) -> None:
    wire = Wire(None, {"gate": gate_before(FullDoor())})
    for byte in said:
        wire.protocol.data_received(bytes([byte]))
    wire.protocol.hang_up_if_late(time.monotonic())
    was_cut_off = wire.is_cut_off

    assert (was_cut_off, after_a_while(wire)) == (False, True)


@pytest.mark.parametrize("said", [head(b"Content-Length: 5"), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
async def test_who_said_what_it_wants_is_not_cut_off(said: bytes) -> None:
    """Its body has its own time."""
    wire = Wire(answers, {"gate": gate_before(FullDoor())})
    wire.protocol.data_received(said)

    assert not after_a_while(wire)
    wire.protocol.connection_lost(None)


async def answers(_scope: object, _receive: object, _send: Any) -> None:
    """An application that says nothing."""


async def test_idleness_ends_where_a_head_begins_and_its_pieces_give_it_no_more_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, now = Clock(), 1000.0
    monkeypatch.setattr(gated_protocol, "time", SimpleNamespace(monotonic=lambda: now))
    wire = Wire(None, {"gate": gate_before(FullDoor())}, loop=clock)
    wire.protocol.data_received(head(b"Content-Length: 0"))
    idle, limit = list(clock.waiting), wire.protocol.config.timeout_keep_alive
    now += 0.9 * limit
    was_cut_off = []
    for piece in (b"PO", b"ST /predict HTTP/1.1\r\n", b"Content-Length: 0\r\n"):
        wire.protocol.data_received(piece)
        wire.protocol.hang_up_if_late(now)
        was_cut_off.append(wire.is_cut_off)
        now += 0.45 * limit
    wire.protocol.hang_up_if_late(now)

    assert (len(idle), clock.waiting) == (1, [])
    assert was_cut_off == [False] * 3
    assert wire.is_cut_off


async def test_every_request_of_a_client_that_left_hears_of_it() -> None:
    """The first of two that came at once is under way, the second waits for it."""
    heard = asyncio.Event()

    async def app(_scope: object, receive: Any, _send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        heard.set()

    wire = Wire(app, {})
    wire.protocol.data_received(2 * head(b"Content-Length: 0"))
    await asyncio.sleep(0)
    wire.protocol.connection_lost(None)

    async with asyncio.timeout(30):
        await heard.wait()


def test_server_hangs_up_on_who_says_nothing(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each of them would hold a file descriptor for good."""
    monkeypatch.setattr(GatedProtocol, "hang_up_if_late", lambda self, _now: self.transport.abort())
    with (
        threaded_server(test_settings(repository)) as url,
        connected(url) as connection,
        contextlib.suppress(ConnectionResetError),
    ):
        assert connection.recv(1) == b""
