"""A full server refuses before it looks at anything else, and what it is not sure of goes on to the routes."""

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from support.pictures import picture_file
from support.server import test_settings, threaded_server, wait_until_loaded

from app.api import gate, gated_protocol
from app.api.app import create_app
from app.api.heads import Head
from app.errors import QueueFull
from app.metrics import Metrics
from app.serving.admission import Admission

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


def test_refusal_is_a_problem_like_any_other_and_is_counted(repository: Path) -> None:
    with full_server(repository) as url:
        refused = httpx.post(
            f"{url}/explain?layers=layer2", content=PICTURE, headers={"X-Request-Id": "mine"}
        )
        metrics = httpx.get(f"{url}/metrics").text

    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["x-request-id"] == refused.json()["id"] == "mine"
    assert int(refused.headers["retry-after"]) >= 1
    assert "server is full" in refused.json()["detail"]
    counted = [line for line in metrics.splitlines() if "_total{" in line and 'route="/explain"' in line]
    assert len(counted) == 1
    assert 'status="503"' in counted[0]
    assert counted[0].endswith(" 1.0")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/predict", (503, "queue_full")),
        ("/predict?top_k=0", (503, "queue_full")),  # and 422 once there is room
        ("/predict?model=line&version=1", (503, "queue_full")),
        ("/predict?deadline_ms=soon", (422, "invalid_request")),
        ("/predict?deadline_ms=-5", (422, "invalid_request")),
        (f"/predict?deadline_ms=1{'0' * 400}", (422, "invalid_request")),
        ("/predict?deadline_ms=1&deadline_ms=soon", (422, "invalid_request")),  # the last one counts
        ("/predict?version=new", (422, "invalid_request")),
        ("/predict?model=nobody", (404, "unknown_model")),
        ("/predict?%FF=%FF&model=%00", (422, "invalid_request")),
        ("/predictions", (404, "not_found")),
    ],
)
def test_only_what_is_sure_is_refused_before_the_routes(
    repository: Path, path: str, expected: tuple[int, str]
) -> None:
    with full_server(repository) as url:
        assert answer(url, path) == expected
        assert httpx.get(f"{url}/predict").status_code == 405
        assert httpx.get(f"{url}/readyz").status_code == 200


def test_room_that_was_asked_for_is_given_back(repository: Path) -> None:
    """The gate only asks; the route takes the place."""
    with threaded_server(test_settings(repository, max_requests=1)) as url:
        assert [answer(url, "/predict?top_k=0") for _ in range(3)] == [(422, "invalid_request")] * 3
        assert [answer(url, "/predict")[0] for _ in range(3)] == [200] * 3


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


@pytest.mark.parametrize(
    "line",
    [
        b"POST /predict\xc3\xa9 HTTP/1.1",
        b"POST predict HTTP/1.1",
        b"POST /predict HTTP/9.1",
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


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\n", b"\n\r\n", b"\r\r"])
def test_no_head_ends_but_with_two_line_ends(repository: Path, end: bytes) -> None:
    """The gate looks for them; a parser that took others would let it count a body's bytes wrongly."""
    with full_server(repository) as url, connected(url) as connection:
        connection.sendall(head(b"Content-Length: 4").removesuffix(b"\r\n\r\n") + end + b"\r\n\r\n")
        answered = until_closed(connection)

    assert answered.startswith(b"HTTP/1.1 400 ")
    assert answered.count(b"HTTP/1.1 ") == 1


class DeafClient:
    """A transport whose client reads nothing."""

    def __init__(self) -> None:
        self.written = b""
        self.is_reading = True

    def write(self, data: bytes) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, _name: str) -> None:
        return None


async def test_who_never_reads_the_refusals_is_not_heard_until_it_does() -> None:
    """Else the answers would pile up in the server's memory. The transport says when: kernels differ in what they hold."""
    client = DeafClient()
    protocol = gated_protocol.GatedProtocol(
        uvicorn.Config("none"), uvicorn.server.ServerState(), {"gate": gate_before(FullDoor())}
    )
    protocol.connection_made(cast("asyncio.Transport", client))
    protocol.data_received(head(b"Content-Length: 0"))
    protocol.pause_writing()
    was_reading = client.is_reading
    protocol.resume_writing()
    protocol.connection_lost(None)

    assert client.written.startswith(b"HTTP/1.1 503 ")
    assert (was_reading, client.is_reading) == (False, True)


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
    with full_server(repository) as url, connected(url) as connection:
        connection.sendall(head(b"Content-Length: 1000") + b"abc")
        answered = until_closed(connection)

    assert answered.startswith(b"HTTP/1.1 503 ")


async def test_refusals_beyond_some_a_second_share_one_line(caplog: pytest.LogCaptureFixture) -> None:
    sparingly = gate.Sparingly(2, seconds=0.01)

    first = [sparingly.allow() for _ in range(5)]
    async with asyncio.timeout(10):
        while not caplog.records:  # noqa: ASYNC110 - a log line sets no event
            await asyncio.sleep(0.005)
    again = [sparingly.allow() for _ in range(3)]

    assert (first, again) == ([True, True, False, False, False], [True, True, False])
    assert caplog.records[0].getMessage() == "refused 3 more requests within 0.01 s, for want of room"


class FullDoor:
    """Counts how often it was asked; stands for `Admission`."""

    def __init__(self) -> None:
        self.departures = 0
        self.asked = 0

    def refusal(self, **_wish: object) -> QueueFull | None:
        self.asked += 1
        return QueueFull(f"full: {self.asked}", retry_after_s=3.0)


def gate_before(door: FullDoor) -> gate.Gate:
    return gate.Gate(
        cast("Admission", door),
        test_settings(Path("none")),
        Metrics(),
        paths=["/predict"],
        is_draining=lambda: False,
    )


def asked(query_string: bytes, request_id: bytes) -> Head:
    return Head("/predict", query_string, {b"x-request-id": request_id}, 0, is_last=False)


async def test_refusal_stands_until_somebody_leaves_or_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who asks alike is told the same under an id of its own; who asks otherwise is looked at anew."""
    monkeypatch.setattr(gate, "STANDS_S", 60.0)
    door = FullDoor()
    doorkeeper = gate_before(door)

    def told(query_string: bytes, request_id: bytes) -> str:
        refusal = doorkeeper.refusal(asked(query_string, request_id), lambda: None)
        assert refusal is not None
        head, body = refusal.message(b"date: today\r\n").split(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        headers = dict(line.split(b": ") for line in lines)
        document = json.loads(body)
        assert status == b"HTTP/1.1 503 Service Unavailable"
        assert headers[b"x-request-id"] == request_id == document["id"].encode()
        assert int(headers[b"content-length"]) == len(body)
        assert (headers[b"retry-after"], headers[b"date"]) == (b"3", b"today")
        return str(document["detail"])

    assert [told(b"", b"a"), told(b"", b"bb"), told(b"deadline_ms=9", b"c")] == [
        "full: 1",
        "full: 1",
        "full: 2",
    ]
    door.departures += 1
    assert told(b"deadline_ms=9", b"d") == "full: 3"
    monkeypatch.setattr(gate, "STANDS_S", -1.0)
    door.departures += 1
    assert [told(b"deadline_ms=9", b"e"), told(b"deadline_ms=9", b"f")] == ["full: 4", "full: 5"]


def test_routes_refuse_as_well_where_nobody_stands_at_the_gate(repository: Path) -> None:
    """`uvicorn app.api.app:create_app --factory` has another protocol."""
    app = create_app(test_settings(repository, max_requests=1))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, http="h11"))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        wait_until_loaded(url)
        with filled(url):
            assert answer(url, "/predict") == (503, "queue_full")
    finally:
        server.should_exit = True
        thread.join()
