"""Several come in at a time. The door closes: who is through it is heard, who only stands there holds nobody up."""

import asyncio
import contextlib
import logging
import resource
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp
from support.server import test_settings, threaded_server

from app.api import server as server_module
from app.api.app import create_app
from app.api.server import FIRST_REQUEST_S, DrainingServer, server_for

REQUEST = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


def connect(address: tuple[str, int], *sent: bytes) -> socket.socket:
    """The kernel accepts it, whatever the server's event loop does."""
    connection = socket.create_connection(address, timeout=30)
    for words in sent:
        connection.sendall(words)
    return connection


def answer(connection: socket.socket) -> bytes:
    """All that comes until the server closes; a reset raises."""
    said = b""
    with connection:
        while chunk := connection.recv(1 << 16):
            said += chunk
    return said


async def started(app: ASGIApp, *, drain_timeout_s: float = 20.0) -> tuple[DrainingServer, socket.socket]:
    """A server, and what it listens on."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = server_for(app, drain_timeout_s=drain_timeout_s)
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup(sockets=[listener])
    return server, listener


async def closing(repository: Path, clients: Callable[[tuple[str, int]], None]) -> float:
    """Let clients connect while the event loop stands, then shut down; the seconds that it took."""
    server, listener = await started(create_app(test_settings(repository)))
    clients(listener.getsockname())
    began = time.monotonic()
    await server.shutdown([listener])
    return time.monotonic() - began


def test_request_that_the_event_loop_had_not_seen_is_answered(repository: Path) -> None:
    connections: list[socket.socket] = []

    def clients(address: tuple[str, int]) -> None:
        connections.extend(connect(address, REQUEST) for _ in range(5))

    uvloop.run(closing(repository, clients))

    answers = [answer(connection) for connection in connections]
    assert [said.split(b"\r\n")[0] for said in answers] == [b"HTTP/1.1 200 OK"] * 5


def test_several_connections_are_accepted_in_a_turn_of_the_loop(repository: Path) -> None:
    """With one a turn, a flood would wait in the kernel behind every turn that lets somebody in."""

    async def run() -> int:
        server, listener = await started(create_app(test_settings(repository)))
        with contextlib.ExitStack() as stack:
            for _ in range(12):
                stack.enter_context(connect(listener.getsockname()))
            turns = 0
            while len(server.server_state.connections) < 12 and turns < 100:
                await asyncio.sleep(0)
                turns += 1
        await server.shutdown([listener])
        return turns

    assert uvloop.run(run()) < 12


def test_request_that_comes_after_the_door_closed_is_answered(repository: Path) -> None:
    """Its connection was there before; nobody else gets in."""
    answers: list[bytes] = []
    refused: list[bool] = []

    def speak_later(connection: socket.socket, address: tuple[str, int]) -> None:
        for _ in range(1000):
            try:
                connect(address).close()
            except ConnectionRefusedError:
                refused.append(True)
                break
            time.sleep(0.001)
        connection.sendall(REQUEST)
        answers.append(answer(connection))

    async def run() -> None:
        speaking: list[asyncio.Future[None]] = []

        def clients(address: tuple[str, int]) -> None:
            speaking.append(
                asyncio.get_running_loop().run_in_executor(None, speak_later, connect(address), address)
            )

        await closing(repository, clients)
        await speaking[0]

    uvloop.run(run())

    assert refused
    assert answers[0].startswith(b"HTTP/1.1 200 OK")


def test_connection_that_never_speaks_is_closed_in_the_end(repository: Path) -> None:
    connections: list[socket.socket] = []

    took_s = uvloop.run(
        closing(repository, lambda address: connections.append(connect(address, REQUEST[:10])))
    )

    assert answer(connections[0]) == b""
    assert took_s >= FIRST_REQUEST_S


class Patient(logging.Handler):
    """An application whose request at / ends once uvicorn says that it waits for connections."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self._waited_for = asyncio.Event(), asyncio.Event()
        self.app = FastAPI()
        self.app.get("/")(self._answer)

    async def _answer(self) -> PlainTextResponse:
        self.begun.set()
        await self._waited_for.wait()
        return PlainTextResponse("done")

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith("Waiting for connections to close"):
            self._waited_for.set()


@pytest.fixture
def patient(caplog: pytest.LogCaptureFixture) -> Iterator[Patient]:
    caplog.set_level(logging.INFO, "uvicorn.error")
    handler = Patient()
    logging.getLogger("uvicorn.error").addHandler(handler)
    yield handler
    logging.getLogger("uvicorn.error").removeHandler(handler)


@contextlib.contextmanager
def no_file_descriptor() -> Iterator[None]:
    """None is given to anybody; those that there are remain."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def drained(
    patient: Patient,
    *,
    at_the_door: int = 0,
    drain_timeout_s: float = 20.0,
    when: contextlib.AbstractContextManager[None],
) -> tuple[socket.socket, list[socket.socket]]:
    """Shut down amid a request; its connection, and those that the event loop had not seen."""
    server, listener = await started(patient.app, drain_timeout_s=drain_timeout_s)
    within = connect(listener.getsockname(), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(30):
        await patient.begun.wait()
    outside = [connect(listener.getsockname(), REQUEST) for _ in range(at_the_door)]
    with when:
        await server.shutdown([listener])
    return within, outside


@pytest.mark.parametrize("drain_timeout_s", [0.001, 0.4])
def test_drain_of_less_than_a_second_is_one(patient: Patient, drain_timeout_s: float) -> None:
    """uvicorn counts whole seconds; with none of them nothing would be waited for."""
    within, _ = uvloop.run(drained(patient, drain_timeout_s=drain_timeout_s, when=contextlib.nullcontext()))

    assert answer(within).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(("drain_timeout_s", "waits_s"), [(1.0, 1), (2.5, 3), (20.0, 20)])
def test_drain_is_no_shorter_than_asked_for(drain_timeout_s: float, waits_s: int) -> None:
    assert server_for(FastAPI(), drain_timeout_s=drain_timeout_s).config.timeout_graceful_shutdown == waits_s


# A server that fails leaves connections behind, and a warning that is an error keeps uvloop from its end.
@pytest.mark.filterwarnings("ignore:unclosed resource:ResourceWarning")
def test_server_without_a_file_descriptor_left_drains(
    patient: Patient, caplog: pytest.LogCaptureFixture
) -> None:
    """Who stands at the door cannot be let in, which the log says; who is through it is answered."""
    within, outside = uvloop.run(drained(patient, at_the_door=3, when=no_file_descriptor()))

    assert answer(within).startswith(b"HTTP/1.1 200 OK")
    for connection in outside:
        with pytest.raises(ConnectionResetError):
            answer(connection)
    assert [record.getMessage() for record in caplog.records if record.name == "app.api.server"] == [
        "connections that wait to be accepted are closed: [Errno 24] Too many open files"
    ]


def test_end_is_heard_though_nobody_looks(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle server sleeps; whoever ends it does not wait for its waking."""
    monkeypatch.setattr(server_module, "LATE_S", 86_400)
    with threaded_server(test_settings(repository, engine="torch")):
        pass  # what ends it fails where it does not end
