"""A full server refuses before it looks at anything else, and what it is not sure of goes on to the routes."""

import asyncio
import json
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest
import uvicorn
from support.full_server import PICTURE, FullDoor, answer, filled, full_server, gate_before
from support.server import test_settings, threaded_server, wait_until_loaded

from app.api import gate
from app.api.app import create_app
from app.api.heads import Head
from app.api.sparingly import Sparingly


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
    assert 'model="line"' in counted[0]
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
        ("/predict?model=", (404, "unknown_model")),
        ("/predict?version=", (422, "invalid_request")),
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


def test_whom_the_gate_lets_in_is_answered_by_the_model_that_it_named(repository: Path) -> None:
    """An empty name is none of the models, not the only one."""
    with threaded_server(test_settings(repository)) as url:
        assert answer(url, "/predict")[0] == 200
        assert answer(url, "/predict?model=line&version=1")[0] == 200
        assert answer(url, "/predict?model=") == (404, "unknown_model")
        assert answer(url, "/predict?model=&model=line")[0] == 200


def test_room_that_was_asked_for_is_given_back(repository: Path) -> None:
    """The gate only asks; the route takes the place."""
    with threaded_server(test_settings(repository, max_requests=1)) as url:
        assert [answer(url, "/predict?top_k=0") for _ in range(3)] == [(422, "invalid_request")] * 3
        assert [answer(url, "/predict")[0] for _ in range(3)] == [200] * 3


async def test_refusals_beyond_some_a_second_share_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("app.api.sparingly.log.warning", lambda text, *facts: said.append(text % facts))
    sparingly = Sparingly(2, "refused %d more requests within %g s", seconds=0.01)

    first = [sparingly.allow() for _ in range(5)]
    async with asyncio.timeout(10):
        while not said:  # noqa: ASYNC110 - a log line sets no event
            await asyncio.sleep(0.005)
    again = [sparingly.allow() for _ in range(3)]

    assert (first, again) == ([True, True, False, False, False], [True, True, False])
    assert said == ["refused 3 more requests within 0.01 s"]


def asked(query_string: bytes, request_id: bytes) -> Head:
    return Head("/predict", query_string, {b"x-request-id": request_id}, 0, is_last=False, is_plain=True)


async def test_refusal_stands_until_somebody_leaves_or_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who asks alike is told the same under an id of its own; who asks otherwise is looked at anew."""
    monkeypatch.setattr(gate, "STANDS_S", 60.0)
    door = FullDoor()
    doorkeeper = gate_before(door)

    def told(query_string: bytes, request_id: bytes) -> str:
        refusal = doorkeeper.verdict(asked(query_string, request_id), lambda: None)
        assert isinstance(refusal, gate.Refusal)
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
        "100 % full: 1",
        "100 % full: 1",
        "100 % full: 2",
    ]
    door.departures += 1
    assert told(b"deadline_ms=9", b"d") == "100 % full: 3"
    monkeypatch.setattr(gate, "STANDS_S", -1.0)
    door.departures += 1
    assert [told(b"deadline_ms=9", b"e"), told(b"deadline_ms=9", b"f")] == ["100 % full: 4", "100 % full: 5"]


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
