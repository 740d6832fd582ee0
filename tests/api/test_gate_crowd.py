"""Who is let in starts in its turn and keeps its place until then; who is refused waits for none of them."""

import asyncio
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from support.full_server import gate_before, head
from support.wire import Wire

from app.api.context import LET_IN
from app.errors import QueueFull
from app.serving import crowds
from app.serving.deployment import Deployment

DEPLOYMENT = cast("Deployment", object())
BODY = bytes(1000)
ASKED = head(b"Content-Length: 1000")


class Door:
    """So many places, none of which becomes free; stands for `Admission`."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.expected = 0
        self.departures = 0

    def room(self, **_wish: object) -> Deployment | QueueFull:
        return QueueFull("full", retry_after_s=1.0) if self.expected >= self.places else DEPLOYMENT

    def name_of(self, _model: str | None) -> str:
        return "line"

    def expect(self, deployment: Deployment, requests: int = 1) -> None:
        assert deployment is DEPLOYMENT
        self.expected += requests


@dataclass
class Site:
    """A server without sockets; the application takes a place as its first step, as the routes do."""

    door: Door
    said: list[str] = field(default_factory=list)
    """What happened, in order."""
    heard_at: list[float] = field(default_factory=list)
    bodies: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = {"gate": gate_before(self.door)}

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.said.append("starts")
        self.door.places -= 1
        self.heard_at.append(scope["state"][LET_IN].heard_at)
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        self.bodies.append(len(body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def connect(self, *, sends: bytes) -> Wire:
        connection = Wire(self.app, self.state)
        connection.protocol.data_received(sends)
        self.said.append("refused" if connection.told else "waits" if not connection.is_reading else "let in")
        return connection


@pytest.fixture(autouse=True)
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowds, "APART", 1)
    monkeypatch.setattr(crowds, "SHARE_S", math.inf)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site(Door(3))
    yield site
    assert site.door.expected == 0


async def turn(count: int = 1) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_crowd_starts_one_by_one_and_the_refused_wait_for_none_of_them(site: Site) -> None:
    """Those on their way have their places; each is read in full once it has started."""
    connections = [site.connect(sends=ASKED + BODY[:300]) for _ in range(5)]
    assert site.said == ["let in", "waits", "waits", "refused", "refused"]
    assert site.door.expected == 3
    for _ in range(3):
        site.said.append("turn")
        await turn()
    assert site.said[5:] == ["turn", "starts", "turn", "starts", "turn", "starts"]
    for connection in connections[:3]:
        assert connection.is_reading
        connection.protocol.data_received(BODY[300:])
    await turn(5)

    assert site.bodies == [1000] * 3
    assert [connection.told[:12] for connection in connections] == [b"HTTP/1.1 200"] * 3 + [
        b"HTTP/1.1 503"
    ] * 2


async def test_time_in_line_is_the_requests_own(site: Site) -> None:
    """Its deadline and its log line begin with its head."""
    began = time.monotonic()
    for _ in range(2):
        site.connect(sends=ASKED + BODY)
    heard_by = time.monotonic()
    time.sleep(0.01)  # noqa: ASYNC251 - the loop has other things to do
    await turn(5)

    assert len(site.heard_at) == 2
    assert all(began <= at <= heard_by for at in site.heard_at)


async def test_whoever_leaves_while_waiting_gives_its_place_back(site: Site) -> None:
    first, second = (site.connect(sends=ASKED + BODY) for _ in range(2))
    second.is_closed = True
    second.protocol.connection_lost(ConnectionResetError())
    await turn(5)

    assert site.said == ["let in", "waits", "starts"]
    assert site.bodies == [1000]
    assert first.told.startswith(b"HTTP/1.1 200")


async def test_kept_connection_waits_as_well_and_goes_on_behind_it(site: Site) -> None:
    kept = site.connect(sends=ASKED + BODY)
    await turn(5)
    site.connect(sends=ASKED + BODY)
    kept.protocol.data_received(ASKED + BODY)
    assert not kept.is_reading
    await turn(5)
    assert kept.is_reading
    kept.protocol.data_received(ASKED + BODY)

    assert kept.told.count(b"HTTP/1.1 200") == 2
    assert kept.told.count(b"HTTP/1.1 503") == 1
    kept.protocol.connection_lost(None)


async def test_server_that_ends_answers_who_waits(site: Site) -> None:
    """It was told nothing yet, and there is room for it."""
    connections = [site.connect(sends=ASKED + BODY) for _ in range(2)]
    for connection in connections:
        connection.protocol.shutdown()
    await turn(5)

    assert [connection.told[:12] for connection in connections] == [b"HTTP/1.1 200"] * 2
    assert all(connection.is_closed for connection in connections)
