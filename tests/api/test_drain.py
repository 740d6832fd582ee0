"""What is not done when the drain is over: its client is told, and it is counted and logged as what it was."""

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Scope
from support.full_server import connected, head, until_closed
from support.server import test_settings, threaded_server

from app.api.context import CLIENT_LEFT, IS_STOPPING, ContextMiddleware
from app.api.front import Endpoint, Front
from app.api.leaving import unless_left
from app.api.schemas import PredictQuery
from app.api.server import server_for
from app.metrics import Metrics

UPLOAD = head(b"Content-Length: 10") + b"abc"
PATIENCE_S = 30.0


def get(path: bytes) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n"


class Waiting:
    """The front and what is behind it, with requests that begin and never end by themselves."""

    def __init__(self, *, is_draining: bool = False) -> None:
        self.metrics = Metrics()
        self.begun, self.ended = asyncio.Event(), asyncio.Event()
        behind = FastAPI()
        behind.add_middleware(ContextMiddleware, metrics=self.metrics, is_draining=lambda: is_draining)
        behind.get("/waits")(self.wait)
        behind.get("/goes-on")(self.go_on)
        behind.get("/long")(self.long)
        endpoints = {"/predict": Endpoint(PredictQuery, self.predict)}
        self.app = Front(behind, endpoints, metrics=self.metrics, is_draining=lambda: is_draining)

    async def wait(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()

    async def predict(self, request: Request, _query: PredictQuery) -> Response:
        await unless_left(request, self.wait())
        raise AssertionError("it never ends by itself")

    async def go_on(self) -> Response:
        async def body() -> AsyncIterator[bytes]:
            yield b"abc"
            await self.wait()

        return StreamingResponse(body(), headers={"Content-Length": "10"})

    async def long(self) -> Response:
        return Response(bytes(1 << 24))  # more than the kernel takes for a client that does not read

    def counted(self) -> set[str]:
        """Each with its labels."""
        lines = self.metrics.render().decode().splitlines()
        return {
            line for line in lines if line.startswith(("lineside_requests_total", "lineside_refused_total"))
        }


Client = Callable[[socket.socket], None]


def shut_down_amid(waiting: Waiting, client: Client, *, until: asyncio.Event) -> socket.socket:
    """Shut a server down with what a client asked of it unfinished; the client's connection."""

    async def run() -> socket.socket:
        listener = socket.create_server(("127.0.0.1", 0))
        server = server_for(waiting.app, drain_timeout_s=1.0)
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup(sockets=[listener])
        connection = socket.create_connection(listener.getsockname(), timeout=PATIENCE_S)
        client(connection)
        async with asyncio.timeout(PATIENCE_S):
            await until.wait()
        await server.shutdown([listener])
        return connection

    return uvloop.run(run())


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str | None]]:
    """Of the access log, with their codes; there is no traceback."""
    assert not [record for record in caplog.records if record.exc_info]
    return [
        (record.getMessage(), record.__dict__["code"])
        for record in caplog.records
        if record.name == "lineside.access"
    ]


def told(said: bytes) -> tuple[bytes, dict[str, str], dict[str, Any]]:
    """Status line, headers and document of an answer."""
    top, _, body = said.partition(b"\r\n\r\n")
    status, *headers = top.split(b"\r\n")
    return status, dict(line.decode().split(": ") for line in headers), json.loads(body)


def test_upload_that_outlives_the_drain_is_told(repository: Path) -> None:
    """As a server's end, not as its failure."""
    settings = test_settings(repository, max_requests=1, drain_timeout_s=1.0)
    with contextlib.ExitStack() as stack:
        with threaded_server(settings) as url:
            slow = stack.enter_context(connected(url))
            slow.sendall(head(b"Content-Length: 100", path=b"/predict?deadline_ms=30000") + b"abc")
            while (
                httpx.post(f"{url}/predict", content=b"no picture").status_code != 503
            ):  # until it was admitted
                pass

        status, headers, document = told(until_closed(slow))

    assert status == b"HTTP/1.1 503 Service Unavailable"
    assert headers["content-type"] == "application/problem+json"
    assert (headers["retry-after"], headers["connection"]) == ("1", "close")
    assert (document["code"], document["status"]) == ("shutting_down", 503)
    assert document["id"] == headers["x-request-id"]


@pytest.mark.parametrize(
    ("asked", "line", "route"),
    [(UPLOAD, "POST /predict 503", "/predict"), (get(b"/waits"), "GET /waits 503", "/waits")],
)
def test_request_that_outlives_the_drain_is_counted_and_logged_once(
    caplog: pytest.LogCaptureFixture, asked: bytes, line: str, route: str
) -> None:
    """In front of FastAPI and behind it."""
    caplog.set_level(logging.INFO)
    waiting = Waiting()

    with shut_down_amid(waiting, lambda c: c.sendall(asked), until=waiting.begun) as connection:
        status, headers, document = told(until_closed(connection))

    assert status == b"HTTP/1.1 503 Service Unavailable"
    assert (document["code"], document["id"]) == ("shutting_down", headers["x-request-id"])
    assert lines(caplog) == [(line, "shutting_down")]
    assert waiting.counted() == {
        f'lineside_requests_total{{model="",route="{route}",status="503"}} 1.0',
        'lineside_refused_total{reason="shutting_down"} 1.0',
    }


def test_answer_that_has_begun_is_cut_off_and_logged_as_that(caplog: pytest.LogCaptureFixture) -> None:
    """With the status that the client was told, and the reason why it did not get the rest."""
    caplog.set_level(logging.INFO)
    waiting = Waiting()

    with shut_down_amid(waiting, lambda c: c.sendall(get(b"/goes-on")), until=waiting.begun) as connection:
        said = until_closed(connection)

    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert said.endswith(b"\r\n\r\nabc")
    assert lines(caplog) == [("GET /goes-on 200", "shutting_down")]
    assert 'lineside_requests_total{model="",route="/goes-on",status="200"} 1.0' in waiting.counted()


def test_client_that_hangs_up_before_the_end_has_left(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody cancelled its request but itself."""
    caplog.set_level(logging.INFO)
    waiting = Waiting(is_draining=True)

    def client(connection: socket.socket) -> None:
        connection.sendall(UPLOAD)
        connection.shutdown(socket.SHUT_WR)

    shut_down_amid(waiting, client, until=waiting.ended).close()

    assert lines(caplog) == [(f"POST /predict {CLIENT_LEFT}", None)]
    assert waiting.counted() == {
        f'lineside_requests_total{{model="",route="/predict",status="{CLIENT_LEFT}"}} 1.0'
    }


# uvicorn leaves its connection to the end of the event loop, and uvloop says so.
@pytest.mark.filterwarnings("ignore:unclosed resource <TCPTransport:ResourceWarning")
def test_client_that_does_not_read_does_not_hold_the_end_up() -> None:
    """What it is told would wait behind what it was told before."""
    waiting = Waiting()

    shut_down_amid(waiting, lambda c: c.sendall(get(b"/long") + UPLOAD), until=waiting.begun).close()

    assert 'lineside_requests_total{model="",route="/predict",status="503"} 1.0' in waiting.counted()


class Wire:
    """What a server hears and says, without one."""

    def __init__(
        self, waiting: Waiting, *, method: str = "POST", path: str = "/predict", **state: object
    ) -> None:
        scope: Scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": []}
        self.sent: list[Message] = []
        self.has_left, self.sends = asyncio.Event(), asyncio.Event()
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.task = asyncio.ensure_future(waiting.app(scope | {"state": state}, self.receive, self.send))

    async def receive(self) -> Message:
        await self.has_left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sends.set()
        await self.is_open.wait()
        self.sent.append(message)

    async def cancelled(self) -> list[Message]:
        """All that was said in the end; the cancellation is not kept back."""
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task
        return self.sent


async def cancelled(waiting: Waiting, method: str, path: str, **state: object) -> list[Message]:
    """What is said to the client of a request whose task somebody cancels."""
    wire = Wire(waiting, method=method, path=path, **state)
    await waiting.begun.wait()
    return await wire.cancelled()


HOT_AND_OTHER = pytest.mark.parametrize(("method", "path"), [("POST", "/predict"), ("GET", "/waits")])


@HOT_AND_OTHER
async def test_whoever_cancels_is_obeyed_after_the_client_was_told(method: str, path: str) -> None:
    """Another server says nothing of itself; that the application drains is enough."""
    for waiting, state in (
        (Waiting(), {IS_STOPPING: lambda: True}),
        (Waiting(is_draining=True), {}),
    ):
        start, body = await cancelled(waiting, method, path, **state)

        assert start["status"] == 503
        assert json.loads(body["body"])["code"] == "shutting_down"


@HOT_AND_OTHER
async def test_cancellation_of_a_server_that_stays_is_no_answer(method: str, path: str) -> None:
    """Nor is one in the grace: the server says that it does not shut down yet."""
    assert await cancelled(Waiting(), method, path) == []
    assert await cancelled(Waiting(is_draining=True), method, path, **{IS_STOPPING: lambda: False}) == []


async def test_client_that_left_before_the_server_did_has_left() -> None:
    """Also where the server takes its time over the answer that nobody reads."""
    waiting = Waiting()
    wire = Wire(waiting, **{IS_STOPPING: lambda: True})
    wire.is_open.clear()
    wire.has_left.set()
    await wire.sends.wait()

    assert await wire.cancelled() == []
    assert waiting.counted() == {
        f'lineside_requests_total{{model="",route="/predict",status="{CLIENT_LEFT}"}} 1.0'
    }
