"""Every request of a connection is heard, refused or not; nobody loses an answer, and nothing piles up."""

import asyncio
import re
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from support.full_server import FullDoor, connected, full_server, gate_before, head, until_closed
from support.wire import Wire, answers_at_once

from app.api import gated_protocol
from app.api import server as server_module


def test_connection_of_a_refused_request_goes_on_behind_its_body(repository: Path) -> None:
    """The answer is there before the body; what is left of the body is dropped, then the next request is heard."""
    with full_server(repository) as url, connected(url) as connection:
        asks = b"GET /livez HTTP/1.1\r\n\r\n"
        body = asks * 40_000
        connection.sendall(head(b"Content-Length: %d" % len(body)))
        first = connection.recv(1 << 16)
        connection.sendall(body + asks)
        connection.sendall(b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n")
        rest = until_closed(connection)

    assert first.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert rest.count(b"HTTP/1.1 200 OK") == 2
    assert rest.count(b"HTTP/1.1") == 2


@pytest.mark.parametrize("piece", [1, 7, 1000, 1 << 20])
@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 3000\r\n\r\n" + bytes(3000),
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ],
)
def test_every_request_of_a_connection_is_heard_however_it_is_cut(
    repository: Path, body: bytes, piece: int
) -> None:
    """Whether the parser saw the refused body or not, and whoever answered the request before."""
    get, post = b"GET /livez HTTP/1.1\r\n\r\n", head().removesuffix(b"\r\n") + body
    said = post + get + post + post + get + get.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with full_server(repository) as url, connected(url) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(said), piece):
            connection.sendall(said[start : start + piece])
        answered = until_closed(connection)

    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", answered)
    assert statuses == [b"503", b"200", b"503", b"503", b"200", b"200"]


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\n", b"\n\r\n", b"\r\r"])
def test_no_head_ends_but_with_two_line_ends(repository: Path, end: bytes) -> None:
    """The gate looks for them; a parser that took others would let it count a body's bytes wrongly."""
    with full_server(repository) as url, connected(url) as connection:
        connection.sendall(head(b"Content-Length: 4").removesuffix(b"\r\n\r\n") + end + b"\r\n\r\n")
        answered = until_closed(connection)

    assert answered.startswith(b"HTTP/1.1 400 ")
    assert len(re.findall(rb"HTTP/1\.1 \d+ ", answered)) == 1


class DeafClient(Wire):
    """Reads nothing until `read_all`; as the loop's transport, it holds 64 KiB before it complains."""

    def __init__(self, app: Any) -> None:
        super().__init__(app, {"gate": gate_before(FullDoor())})
        self.is_full = asyncio.Event()

    def write(self, data: bytes) -> None:
        super().write(data)
        self.unsent += len(data)
        if self.unsent > 1 << 16 and not self.is_full.is_set():
            self.is_full.set()
            self.protocol.pause_writing()

    def read_all(self) -> None:
        self.unsent = 0
        self.is_full.clear()
        self.protocol.resume_writing()


async def answers_at_length(_scope: object, _receive: object, send: Any) -> None:
    """An application: 100 kB."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100000")]})
    await send({"type": "http.response.body", "body": bytes(100_000)})


async def test_who_never_reads_the_refusals_is_not_heard_until_it_does() -> None:
    """Else the answers would pile up in the server's memory. No socket: kernels differ in what they hold."""
    client = DeafClient(answers_at_length)
    while client.is_reading and client.unsent < 1 << 20:
        client.protocol.data_received(head(b"Content-Length: 0"))
    was_reading = client.is_reading
    client.read_all()
    client.protocol.connection_lost(ConnectionResetError())

    assert client.told.startswith(b"HTTP/1.1 503 ")
    assert len(client.told) < 1 << 17
    assert (was_reading, client.is_reading) == (False, True)


async def test_who_does_not_read_an_answer_is_told_one_refusal_more() -> None:
    """The answer filled what the connection holds while the application wrote it; nobody says so again."""
    client = DeafClient(answers_at_length)
    client.protocol.data_received(b"GET /models HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(30):
        await client.is_full.wait()
    was_reading = client.is_reading
    client.protocol.data_received(head(b"Content-Length: 0"))
    was_reading_on = client.is_reading
    client.read_all()
    client.protocol.connection_lost(ConnectionResetError())

    assert client.told.count(b"HTTP/1.1 503 ") == 1
    assert (was_reading, was_reading_on, client.is_reading) == (True, False, True)


@pytest.mark.parametrize("said", [head(b"Connection: close"), head(version=b"1.0")])
def test_whole_body_may_be_sent_before_the_refusal_is_read(repository: Path, said: bytes) -> None:
    """Closing earlier would reset the connection, and the client would never see the answer."""
    body = bytes(8_000_000)
    asked = said.replace(b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n" % len(body))
    with full_server(repository) as url, connected(url) as connection:
        connection.sendall(asked + body)
        answered = until_closed(connection)

    assert answered.startswith(b"HTTP/1.1 503 ")
    assert answered.count(b"\r\nconnection: close\r\n") == 1
    assert answered.endswith(b"}")


def test_client_that_asks_before_it_sends_is_told_not_to(repository: Path) -> None:
    with full_server(repository) as url, connected(url) as connection:
        connection.sendall(head(b"Content-Length: 5000000", b"Expect: 100-continue"))
        answered = until_closed(connection)

    assert answered.startswith(b"HTTP/1.1 503 ")
    assert b"connection: close" in answered


def test_body_that_nobody_wants_and_that_never_ends_is_not_waited_for(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gated_protocol, "LINGER_S", 0.2)
    monkeypatch.setattr(server_module, "LATE_S", 0.1)
    with full_server(repository) as url, connected(url) as connection:
        connection.sendall(head(b"Content-Length: 1000") + b"abc")
        answered = until_closed(connection)

    assert answered.startswith(b"HTTP/1.1 503 ")


async def test_who_falls_silent_behind_an_early_answer_does_not_stay_for_ever() -> None:
    """A camera that loses its power says nothing any more; uvicorn's timer ends with the first piece of the rest."""
    wire = Wire(answers_at_once, {"gate": gate_before(FullDoor())})
    wire.protocol.data_received(head(b"Content-Length: 10").replace(b"POST", b"PUT"))
    async with asyncio.timeout(30):
        while not wire.told:  # noqa: ASYNC110 - a socket sets no event
            await asyncio.sleep(0)
    wire.protocol.data_received(bytes(5))
    now, limit = time.monotonic(), wire.protocol.config.timeout_keep_alive
    wire.protocol.hang_up_if_late(now)
    was_cut_off = wire.is_cut_off
    wire.protocol.data_received(bytes(5))
    wire.protocol.hang_up_if_late(now + limit + 1)
    is_watched = wire.protocol.timeout_keep_alive_task is not None
    wire.protocol.data_received(head(b"Content-Length: 10").replace(b"POST", b"PUT") + bytes(5))
    for _ in range(5):
        await asyncio.sleep(0)
    wire.protocol.data_received(b"x")
    wire.protocol.hang_up_if_late(time.monotonic() + limit + 1)

    assert (was_cut_off, is_watched, wire.is_cut_off) == (False, True, True)
    wire.protocol.connection_lost(None)
