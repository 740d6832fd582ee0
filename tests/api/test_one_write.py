"""What a client is told comes whole: an answer's head with the first of its body, and nothing is kept back."""

import asyncio
from typing import Any

import pytest
from support.wire import Wire

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]}


class ClosedWire(Wire):
    """Tells when it is closed."""

    def __init__(self, app: Any) -> None:
        super().__init__(app, {})
        self.closed = asyncio.Event()

    def close(self) -> None:
        super().close()
        self.closed.set()


async def told(app: Any, *headers: bytes) -> list[bytes]:
    """The writes to a client that asks once and takes one answer."""
    wire = ClosedWire(app)
    lines = [b"POST /predict HTTP/1.1", b"Host: x", b"Connection: close", b"Content-Length: 3", *headers]
    wire.protocol.data_received(b"\r\n".join(lines) + b"\r\n\r\nabc")
    async with asyncio.timeout(30):
        await wire.closed.wait()
    wire.protocol.connection_lost(None)
    return wire.writes


def answering(*bodies: bytes, start: dict[str, Any] = START) -> Any:
    async def app(_scope: object, receive: Any, send: Any) -> None:
        await receive()
        await send(start)
        for number, body in enumerate(bodies, start=1):
            await asyncio.sleep(0)
            more = number < len(bodies)
            await send({"type": "http.response.body", "body": body, "more_body": more})

    return app


async def test_answer_is_one_write() -> None:
    (whole,) = await told(answering(b"boar:1"))

    head, _, body = whole.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == b"boar:1"


async def test_long_answer_is_not_copied() -> None:
    picture = bytes(1 << 20)
    start = {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-length", b"%d" % len(picture))],
    }
    head, body = await told(answering(picture, start=start))

    assert head.endswith(b"\r\n\r\n")
    assert body is picture


async def test_answer_in_pieces_is_sent_as_they_come() -> None:
    first, second = await told(answering(b"boar", b":1"))

    assert first.endswith(b"\r\n\r\nboar")
    assert second == b":1"


async def test_answer_of_unknown_length_is_chunked() -> None:
    unknown = {"type": "http.response.start", "status": 200, "headers": []}
    first, second = await told(answering(b"boar", b":1", start=unknown))

    assert first.endswith(b"transfer-encoding: chunked\r\n\r\n4\r\nboar\r\n")
    assert second == b"2\r\n:1\r\n0\r\n\r\n"


async def test_answer_without_a_body_is_a_head() -> None:
    (whole,) = await told(answering(b"", start={"type": "http.response.start", "status": 204, "headers": []}))

    assert whole.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert whole.endswith(b"\r\n\r\n")


async def test_client_that_asks_first_is_told_to_go_on_at_once() -> None:
    first, whole = await told(answering(b"boar:1"), b"Expect: 100-continue")

    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert whole.endswith(b"\r\n\r\nboar:1")


async def test_head_of_an_answer_that_fails_is_not_kept_back(caplog: pytest.LogCaptureFixture) -> None:
    async def app(_scope: object, _receive: object, send: Any) -> None:
        await send(START)
        raise OSError("the disk is gone")

    (head,) = await told(app)

    assert head.endswith(b"content-length: 6\r\nconnection: close\r\n\r\n")
    assert "the disk is gone" in caplog.text
