"""What cannot be read is told so: once, in its turn, and under the name of its mistake."""

import asyncio
import json
import logging
import re
from collections import Counter
from pathlib import Path
from typing import Self

import httpx
import pytest
from support.full_server import PICTURE, FullDoor, connected, full_server, gate_before, head, until_closed
from support.wire import Wire, answers_at_once


@pytest.mark.parametrize(
    "line",
    [
        b"POST predict HTTP/1.1",
        b"POST /predict HTTP/9.1",
        b"POST http://x HTTP/1.1",
        b"POST /predict HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2",
        b"POST /predict HTTP/1.1\r\nContent-Length: -1",
        b"POST /predict HTTP/1.1\r\nContent-Length: 1" + b"0" * 30,
        b"POST /predict HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
    ],
)
def test_head_that_cannot_be_read_is_a_bad_request(repository: Path, line: bytes) -> None:
    with full_server(repository) as url, connected(url) as connection:
        connection.sendall(line + b"\r\nHost: x\r\n\r\n")
        answered = until_closed(connection)

    assert answered.startswith(b"HTTP/1.1 400 ")


class Heard(logging.Handler):
    """What ours and uvicorn say of connections; the server sets up the root's handlers for itself."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[logging.LogRecord] = []
        self.loggers = [logging.getLogger(name) for name in ("app.api.gate", "uvicorn.error")]

    def __enter__(self) -> Self:
        for logger in self.loggers:
            logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        for logger in self.loggers:
            logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self.lines.append(record)


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(506), "not https://"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "speaks HTTP/1.1"),
        (b"hello\r\n\r\n", "first line"),
    ],
)
def test_what_is_no_request_is_told_what_it_is_counted_and_logged_once(
    repository: Path, said: bytes, meaning: str
) -> None:
    """A problem document as every error has; the usual mistake is https:// to this port."""
    with full_server(repository) as url, connected(url) as connection, Heard() as heard:
        connection.sendall(said)
        answered = until_closed(connection)
        metrics = httpx.get(f"{url}/metrics").text

    top, body = answered.split(b"\r\n\r\n", 1)
    problem = json.loads(body)
    assert top.startswith(b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n")
    assert (problem["code"], problem["status"]) == ("malformed_request", 400)
    assert meaning in problem["detail"]
    assert f"x-request-id: {problem['id']}".encode() in top
    assert 'lineside_refused_total{reason="malformed_request"} 1.0' in metrics
    assert [(line.levelname, line.__dict__["id"]) for line in heard.lines] == [("WARNING", problem["id"])]


WHOLE = head(b"Content-Length: %d" % len(PICTURE), b"X-Request-Id: mine") + PICTURE
GET = b"GET /static/page.js HTTP/1.1\r\nHost: x\r\n\r\n"
BROKEN = head(b"Transfer-Encoding: chunked", b"X-Request-Id: mine") + b"3\r\nabc\r\nzz\r\n"


@pytest.mark.parametrize(
    ("said", "statuses", "counted"),
    [
        (WHOLE + b"rubbish\r\n\r\n", ["200"], {"200": 1, "400": 1}),
        (GET + b"rubbish\r\n\r\n", ["200"], {"200": 1, "400": 1}),
        (WHOLE + WHOLE + b"rubbish\r\n\r\n", ["200", "200"], {"200": 2, "400": 1}),
        (WHOLE + BROKEN, ["200"], {"200": 1, "400": 1}),
        (BROKEN, ["400"], {"400": 1}),
    ],
    ids=["request", "page", "two requests", "request, then half a body", "half a body"],
)
def test_answers_come_in_their_order_whatever_follows_that_cannot_be_read(
    server: str, said: bytes, statuses: list[str], counted: dict[str, int]
) -> None:
    """A wrong Content-Length makes rubbish of what follows; who reads that first would take it for its picture's answer."""
    before = finished(server)
    with connected(server) as connection:
        connection.sendall(said)
        answered = until_closed(connection)
    after = finished(server)

    assert re.findall(r"HTTP/1\.1 (\d+) ", answered.decode("latin-1")) == statuses
    assert after - before == counted


def finished(url: str) -> Counter[str]:
    """Requests by status, but for those of the operator."""
    counts: Counter[str] = Counter()
    for route, status, count in re.findall(
        r'lineside_requests_total\{.*route="(.*)",status="(\d+)"\} (\d+)', httpx.get(f"{url}/metrics").text
    ):
        if route not in {"/metrics", "/readyz", "/models"}:
            counts[status] += int(count)
    return counts


async def test_who_was_answered_is_not_told_again_that_its_body_is_broken() -> None:
    wire = Wire(answers_at_once, {"gate": gate_before(FullDoor())})
    wire.protocol.data_received(head(b"Transfer-Encoding: chunked"))
    async with asyncio.timeout(30):
        while not wire.told:  # noqa: ASYNC110 - a socket sets no event
            await asyncio.sleep(0)
    wire.protocol.data_received(b"zz\r\n")

    assert wire.told.count(b"HTTP/1.1 ") == 1
    assert wire.has_ended
    wire.protocol.connection_lost(None)


async def test_head_without_end_is_not_kept() -> None:
    wire = Wire(None, {"gate": gate_before(FullDoor())})
    wire.protocol.data_received(b"GET / HTTP/1.1\r\n")
    pieces = 0
    while not wire.told and pieces < 100:
        wire.protocol.data_received(b"X-A: %b\r\n" % (b"a" * 8000))
        pieces += 1

    assert b"longer than 64 KiB" in wire.told
    assert pieces < 10
    assert wire.has_ended
