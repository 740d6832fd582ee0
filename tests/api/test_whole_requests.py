"""A request that came whole goes another way than one that came in pieces; the application and the client notice nothing."""

import asyncio
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.full_server import connected, head, until_closed
from support.pictures import picture_file
from support.server import test_settings, threaded_server
from support.wire import Wire

from app.api import whole_requests
from app.api.context import LET_IN
from app.api.exchange import EXCHANGE
from app.api.gate import Gate
from app.api.leaving import LEAVING
from app.metrics import Metrics
from app.serving.admission import Admission

PICTURE = picture_file(1)
LINES = (
    b"Host: x",
    b"Content-Type: image/jpeg",
    b"X-Request-Id: a-1",
    b"X-REQUEST-ID:  b-2  ",
    b"Accept: image/png",
    b"accept: application/json",
    b"Connection: keep-alive",
    b"Connection: close",
    b"Expect: 100-continue",
    b"Upgrade: h2c",
    b"A: \xea\xb0\x80",
    b"Empty:",
)
STARTS = (
    b"POST /predict HTTP/1.1",
    b"POST /predict?model=a%20b&top_k=1 HTTP/1.1",
    b"POST /predict? HTTP/1.1",
    b"POST /predict HTTP/1.0",
    b"POST //predict HTTP/1.1",
)
OURS = {LET_IN, LEAVING, EXCHANGE}
"""In a scope's state, of each request its own."""


def open_gate() -> Gate:
    """There is room."""
    deployment = object()
    door = SimpleNamespace(departures=0, room=lambda **_: deployment, expect=lambda *_: None, name_of=str)
    return Gate(
        cast("Admission", door),
        test_settings(Path("none")),
        Metrics(),
        paths=["/predict"],
        is_draining=lambda: False,
    )


async def heard(pieces: Sequence[bytes], *, behind: bytes = b"") -> tuple[list[Any], list[bytes], bytes]:
    """What an application is given by a connection, and what its client is told.

    Args:
        pieces: of one request, as they come.
        behind: comes once that was answered.
    """
    scopes: list[Any] = []
    bodies: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append({**scope, "state": set(scope["state"])})
        body, more = b"", True
        while more:
            message = await receive()
            more = message.get("more_body", False)
            body += message.get("body", b"")
        bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    wire = Wire(app, {"gate": open_gate(), "kept": 1})
    for piece in [*pieces, behind]:
        if piece:
            wire.protocol.data_received(piece)
        for _ in range(8):
            await asyncio.sleep(0)
    wire.protocol.connection_lost(None)
    return scopes, bodies, re.sub(rb"date: [^\r]*\r\n", b"", wire.told)


@given(
    st.sampled_from(STARTS), st.lists(st.sampled_from(LINES), max_size=5, unique=True), st.binary(max_size=40)
)
def test_what_came_whole_is_what_uvicorn_hears_of_it_in_pieces(
    start: bytes, lines: list[bytes], body: bytes
) -> None:
    """The scope, the body, the answer and whether the connection goes on."""
    said = b"\r\n".join([start, *lines, b"Content-Length: %d" % len(body), b"", b""])
    behind = head(b"Content-Length: 3") + b"abc"

    async def both() -> tuple[Any, Any]:
        whole = await heard([said + body], behind=behind)
        return whole, await heard([said, *([body] if body else [])], behind=behind)

    whole, in_pieces = asyncio.run(both())

    assert whole == in_pieces
    assert whole[1][:1] == [body]


@pytest.mark.parametrize("start", [b"POST /predict HTTP/1.1", b"POST /predict HTTP/1.0"])
@pytest.mark.parametrize("line", [b"Connection: keep-alive", b"Connection: close"])
@pytest.mark.parametrize("body", [b"", b"boar:1", bytes(1 << 16)])
async def test_answer_at_once_is_what_uvicorn_writes(start: bytes, line: bytes, body: bytes) -> None:
    """To the byte, and the connection goes on or not; a long one is left to uvicorn."""
    headers = [(b"content-length", b"%d" % len(body)), (b"lineside-class", b"boar")]
    said = b"\r\n".join([start, b"Host: x", line, b"Content-Length: 3", b"", b"abc"])

    async def told(*, at_once: bool) -> tuple[bytes, bool, bool]:
        wrote = False
        has_ended = asyncio.Event()

        async def app(scope: Any, _receive: Any, send: Any) -> None:
            nonlocal wrote
            exchange = scope["state"][EXCHANGE]
            assert exchange.body_at_hand() == b"abc"
            wrote = at_once and exchange.answer(200, headers, body)
            if not wrote:
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await send({"type": "http.response.body", "body": body})
            has_ended.set()

        wire = Wire(app, {"gate": open_gate()})
        wire.protocol.data_received(said)
        async with asyncio.timeout(30):
            await has_ended.wait()
        answer, is_closed = wire.told, wire.is_closed
        wire.protocol.connection_lost(None)
        return answer, is_closed, wrote

    ours, uvicorns = await told(at_once=True), await told(at_once=False)

    assert ours[:2] == uvicorns[:2]
    assert ours[2] == (len(body) < 1 << 16)
    assert uvicorns[0].endswith(b"\r\n\r\n" + body)


async def test_usual_request_takes_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nothing above would have been compared."""
    begun: list[bytes] = []
    begin = whole_requests.begin

    def noted(protocol: Any, head: Any, body: bytes) -> Any:
        begun.append(body)
        return begin(protocol, head, body)

    monkeypatch.setattr(whole_requests, "begin", noted)
    usual = head(b"Content-Length: 3") + b"abc"
    await heard([usual], behind=usual)
    await heard([usual + usual])
    await heard([usual[:-1], usual[-1:]])
    scopes, *_ = await heard([usual])

    assert begun == [b"abc"] * 3
    assert scopes[0]["state"] == {*OURS, "gate", "kept"}


@pytest.fixture(scope="module")
def line(repository: Path) -> Any:
    with threaded_server(test_settings(repository)) as url:
        yield url


def ask(*headers: bytes, body: bytes = PICTURE, version: bytes = b"1.1") -> bytes:
    return head(b"Content-Length: %d" % len(body), *headers, version=version) + body


def fields(answer: bytes) -> dict[str, str]:
    lines = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines)


def read_one(connection: socket.socket) -> bytes:
    """One answer with a Content-Length."""
    said = b""
    while b"\r\n\r\n" not in said:
        chunk = connection.recv(1 << 16)
        assert chunk, said
        said += chunk
    missing = int(fields(said)["content-length"]) - len(said.partition(b"\r\n\r\n")[2])
    while missing > 0:
        chunk = connection.recv(missing)
        assert chunk
        said, missing = said + chunk, missing - len(chunk)
    return said


VARY = {"date", "server-timing", "content-length"}


@pytest.mark.parametrize("piece", [1 << 20, 700])
def test_answers_have_the_same_headers_however_the_picture_comes(line: str, piece: int) -> None:
    """Names, order and values of the headers that every answer has, and a connection that goes on."""
    with connected(line) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answers = []
        for _ in range(3):
            said = ask(b"X-Request-Id: a-1")
            for start in range(0, len(said), piece):
                connection.sendall(said[start : start + piece])
            answers.append(read_one(connection))
    told = [fields(answer) for answer in answers]

    assert all(answer.startswith(b"HTTP/1.1 200 OK\r\n") for answer in answers)
    assert list(told[0]) == [
        "date",
        "content-length",
        "content-type",
        "server-timing",
        "lineside-class",
        "lineside-probability",
        "lineside-model",
        "lineside-digest",
        "x-request-id",
    ]
    assert len({tuple((k, v) for k, v in one.items() if k not in VARY) for one in told}) == 1
    assert told[0]["x-request-id"] == "a-1"
    assert told[0]["content-type"] == "application/json"


def test_two_pictures_in_one_piece_are_answered_in_their_order(line: str) -> None:
    with connected(line) as connection:
        connection.sendall(ask(b"X-Request-Id: 1") + ask(b"X-Request-Id: 2", b"Connection: close"))
        answered = until_closed(connection)

    assert re.findall(rb'"id":"(\d)"', answered) == [b"1", b"2"]
    assert answered.count(b"HTTP/1.1 200 OK") == 2
    assert answered.count(b"connection: close\r\n") == 1


@pytest.mark.parametrize("last", [(b"Connection: close",), ()])
def test_who_takes_one_answer_is_told_that_it_is_the_last(line: str, last: tuple[bytes, ...]) -> None:
    """By word, or because the client is of 1996."""
    with connected(line) as connection:
        connection.sendall(ask(*last, version=b"1.1" if last else b"1.0"))
        answered = until_closed(connection)

    assert answered.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nconnection: close\r\n" in answered
    assert answered.endswith(b"}")


def test_picture_is_sent_once_it_is_asked_for(line: str) -> None:
    with connected(line) as connection:
        connection.sendall(
            ask(b"Expect: 100-continue", body=b"").replace(b"Length: 0", b"Length: %d" % len(PICTURE))
        )
        first = connection.recv(1 << 16)
        connection.sendall(PICTURE)
        answered = read_one(connection)

    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answered.startswith(b"HTTP/1.1 200 OK\r\n")


def test_long_answer_comes_whole(line: str) -> None:
    """An overlay is longer than what is written at once."""
    large = picture_file(3, "PNG", width=640, height=480)
    with httpx.Client(base_url=line, timeout=60) as client:
        overlay = client.post("/explain?format=png", content=large, headers={"Accept": "image/png"})
        again = client.post("/predict", content=large)

    assert overlay.status_code == again.status_code == 200
    assert len(overlay.content) == int(overlay.headers["content-length"]) > 1 << 16


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"no picture", (), 422, "unreadable_image"),
        (bytes(2 << 20), (), 413, "body_too_large"),
        (b"--x\r\nContent-Disposition: form-data", (), 422, "invalid_request"),
        (b"--x--\r\n", (b"Content-Type: multipart/form-data; boundary=x",), 422, "invalid_request"),
    ],
)
def test_errors_are_the_same(
    repository: Path, body: bytes, headers: tuple[bytes, ...], status: int, code: str
) -> None:
    """Told in one write, too; and the connection goes on."""
    with threaded_server(test_settings(repository, max_body_mib=1.0)) as url, connected(url) as connection:
        connection.sendall(ask(*headers, body=body))
        refused = read_one(connection)
        connection.sendall(ask())
        answered = read_one(connection)

    assert refused.startswith(b"HTTP/1.1 %d " % status)
    assert f'"code":"{code}"'.encode() in refused
    assert fields(refused)["content-type"] == "application/problem+json"
    assert answered.startswith(b"HTTP/1.1 200 OK\r\n")
