"""Crowds, cut connections, overload and the end, against the command that users run."""

import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from support.bundles import write_random_bundle
from support.pictures import damaged_file, picture_file
from support.server import ServerProcess, server_process

from app.domain import Resize, Size
from app.exporting.export import export_bundle

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def slow_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes its time: 30 to 60 ms a picture on two cores. It brings its form, which a server would make in 20 s."""
    root = tmp_path_factory.mktemp("slow")
    bundle = write_random_bundle(
        root, name="line", architecture="resnet18", steps=(Resize(Size(336, 336), "bilinear"),)
    )
    (bundle.folder / "openvino").mkdir()
    export_bundle(bundle, bundle.folder / "openvino")
    return root


@pytest.fixture(scope="module")
def slow_server(slow_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    log = tmp_path_factory.mktemp("log") / "server.log"
    with server_process(slow_repository, log, MAX_QUEUE_ENTRIES="8", BATCH_SIZES="[1,2,4]") as server:
        yield server


async def post_all(url: str, bodies: list[bytes]) -> list[httpx.Response]:
    """All at once, each on a connection of its own."""
    limits = httpx.Limits(max_connections=len(bodies))
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        return await asyncio.gather(*(client.post("/predict", content=body) for body in bodies))


def test_damaged_pictures_in_a_crowd_hurt_nobody_else(server: str) -> None:
    """Thirty-two at once, four of them damaged: 28 answers, four errors of their own."""
    bodies = [damaged_file(n) if n % 8 == 3 else picture_file(n) for n in range(32)]

    responses = asyncio.run(post_all(server, bodies))

    codes = [response.status_code for response in responses]
    assert Counter(codes) == {200: 28, 422: 4}
    assert [n for n, code in enumerate(codes) if code == 422] == [3, 11, 19, 27]


def cut_request(url: str, body: bytes, *, sent: float) -> None:
    """Send a share of a request, then close the connection."""
    address = urlsplit(url)
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=30) as connection:
        connection.sendall(head + body[: int(len(body) * sent)])
        time.sleep(0.02)


def test_clients_that_leave_hurt_nobody_else(slow_server: ServerProcess) -> None:
    """Sixteen posts of which eight are cut, in the body or while they wait: the rest is answered."""
    url = slow_server.url
    body = picture_file(1)

    async def crowd() -> list[httpx.Response]:
        cuts = [asyncio.to_thread(cut_request, url, body, sent=1.0 if n % 2 else 0.5) for n in range(8)]
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            posts = [client.post("/predict", content=body) for _ in range(8)]
            _, *responses = await asyncio.gather(asyncio.gather(*cuts), *posts)
        return responses

    responses = asyncio.run(crowd())

    answered = [r for r in responses if r.status_code == 200]
    assert all(r.status_code in {200, 503} for r in responses), [r.text for r in responses]
    assert answered
    assert httpx.post(f"{url}/predict", content=body, timeout=60).status_code == 200
    assert 'lineside_queue_entries{model="line",version="1"} 0.0' in httpx.get(f"{url}/metrics").text
    statuses = [json.loads(line).get("status") for line in slow_server.log.read_text("utf-8").splitlines()]
    assert 499 in statuses


def test_overload_is_refused_and_costs_no_memory(slow_server: ServerProcess) -> None:
    """Far more than it can do, for five seconds: 503 with Retry-After, and it is itself again at once."""
    url = slow_server.url
    body = picture_file(1, width=768, height=574)
    outcomes: Counter[int] = Counter()
    retry_after: set[str] = set()

    async def flood() -> None:
        limits = httpx.Limits(max_connections=64)
        async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:

            async def one() -> None:
                response = await client.post("/predict", content=body)
                outcomes[response.status_code] += 1
                if response.status_code == 503:
                    retry_after.add(response.headers["retry-after"])

            end = time.monotonic() + 5
            async with asyncio.TaskGroup() as group:
                while time.monotonic() < end:
                    group.create_task(one())
                    await asyncio.sleep(1 / 250)

    asyncio.run(post_all(url, [body] * 8))  # everything that is allocated once, is
    before = slow_server.rss_mib()
    asyncio.run(flood())
    after = slow_server.rss_mib()

    assert set(outcomes) <= {200, 503}, outcomes
    assert outcomes[503] > outcomes[200] > 0
    assert all(int(seconds) >= 1 for seconds in retry_after)
    assert after - before < 64, f"{before:.0f} -> {after:.0f} MiB"
    assert httpx.post(f"{url}/predict", content=body, timeout=60).status_code == 200
    assert httpx.get(f"{url}/readyz").status_code == 200


def test_sigterm_under_load_loses_no_accepted_request(slow_repository: Path, tmp_path: Path) -> None:
    """Not ready at once, still answering for the grace, then a drain; exit code 0."""
    body = picture_file(1)
    answers: Counter[int] = Counter()
    lost: list[Exception] = []
    unready: list[float] = []

    async def storm(server: ServerProcess) -> float:
        async def client_loop() -> None:
            async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
                while True:
                    try:
                        response = await client.post("/predict", content=body)
                    except httpx.ConnectError:
                        return  # the door is closed: nothing was accepted
                    except httpx.TransportError as error:
                        lost.append(error)
                        return
                    answers[response.status_code] += 1

        async def watch_readiness() -> None:
            async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
                while True:
                    try:
                        if (await client.get("/readyz")).status_code == 503:
                            unready.append(time.monotonic())
                    except httpx.TransportError:
                        return
                    await asyncio.sleep(0.02)

        loops = [asyncio.create_task(client_loop()) for _ in range(6)]
        watch = asyncio.create_task(watch_readiness())
        await asyncio.sleep(1)
        told = time.monotonic()
        server.terminate()
        await asyncio.gather(*loops, watch)
        return told

    with server_process(
        slow_repository, tmp_path / "log", SHUTDOWN_GRACE_S="1", BATCH_SIZES="[1,2,4]"
    ) as server:
        told = asyncio.run(storm(server))
        code = server.wait()

    assert code == 0, server.log.read_text("utf-8")[-2000:]
    assert lost == []
    assert set(answers) <= {200, 503}
    assert answers[200] > 3
    assert unready, "readiness never said no"
    assert unready[0] >= told
    assert answers[200] > 0


def test_second_sigterm_does_not_wait_for_the_grace(slow_repository: Path, tmp_path: Path) -> None:
    """An operator in a hurry; still exit code 0."""
    with server_process(
        slow_repository, tmp_path / "log", SHUTDOWN_GRACE_S="60", BATCH_SIZES="[1]"
    ) as server:
        server.terminate()
        while httpx.get(f"{server.url}/readyz").status_code == 200:
            time.sleep(0.01)
        server.terminate()

        assert server.wait() == 0


def logged(server: ServerProcess, request_id: str) -> list[dict[str, Any]]:
    """The lines of one request; they are written when its response is out, so they may come a moment later."""
    lines: list[dict[str, Any]] = []
    for _ in range(200):
        everything = [json.loads(line) for line in server.log.read_text("utf-8").splitlines()]
        lines = [line for line in everything if line.get("id") == request_id]
        if lines:
            break
        time.sleep(0.01)
    return lines


def test_log_is_one_json_line_a_request(slow_server: ServerProcess) -> None:
    """With the id, the model, the answer and the stages."""
    own = {"X-Request-Id": "carcass-430"}
    httpx.post(f"{slow_server.url}/predict", content=picture_file(1), headers=own, timeout=60)

    [line] = logged(slow_server, "carcass-430")
    assert (line["method"], line["path"], line["status"]) == ("POST", "/predict", 200)
    assert (line["model"], line["version"]) == ("line", 1)
    assert line["class_name"] in {"castrate", "boar", "female"}
    assert set(line["timings_ms"]) == {"decode", "preprocess", "queue", "inference", "render", "total"}
