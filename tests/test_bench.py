"""What bench/ says is what was measured, and a server that answers wrongly is not measured at all."""

import dataclasses
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import uvloop

from bench.client import Window, closed_loop, http_message
from bench.measuring import agreement
from bench.page import HEAD, HERE, RESULTS, SECTIONS, page_text
from bench.peers_page import peers_section
from bench.requests import of_json
from bench.server_page import limit_beside_client_per_s, limit_per_s
from bench.servers import OURS
from bench.starting import Running
from bench.workload import Unavailable

PICTURES = [bytes([number]) for number in range(8)]
ANSWERS = [{"boar": number / 10, "female": 1 - number / 10} for number in range(8)]


@contextmanager
def answering(answer: Callable[[int], tuple[int, dict[str, float]]]) -> Iterator[Running]:
    """A server on 127.0.0.1; `answer` is given the body's one byte."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status, scores = answer(self.rfile.read(int(self.headers["Content-Length"]))[0])
            body = json.dumps(scores).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Running(
            dataclasses.replace(OURS[0], read=of_json),
            f"http://127.0.0.1:{server.server_port}/predict",
            os.getpid(),
            Path(os.devnull),
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_right_answers_are_counted() -> None:
    """Pictures asked at once, each compared with its own."""
    with answering(lambda number: (200, ANSWERS[number])) as started:
        found = agreement(started, PICTURES, ANSWERS)

    assert (found.pictures, found.same_class, found.max_difference) == (8, 8, 0.0)


def test_a_server_that_mixes_up_pictures_is_not_measured() -> None:
    """Each answer is some picture's, but not its own."""
    with (
        answering(lambda number: (200, ANSWERS[(number + 1) % 8])) as started,
        pytest.raises(Unavailable, match="answers are not the network's"),
    ):
        agreement(started, PICTURES, ANSWERS)


def test_a_server_that_refuses_a_picture_is_not_measured() -> None:
    """One of eight is enough."""
    with (
        answering(lambda number: (503 if number == 5 else 200, ANSWERS[number])) as started,
        pytest.raises(Unavailable, match="answered with 503"),
    ):
        agreement(started, PICTURES, ANSWERS)


def test_client_counts_only_what_was_answered() -> None:
    """A refusal is quick and must not look like speed."""
    with answering(lambda _: (503, {})) as started:
        messages = [http_message(started.url, ["Content-Type: image/jpeg"], picture) for picture in PICTURES]
        port = int(started.url.rpartition(":")[2].partition("/")[0])
        row = uvloop.run(
            closed_loop("127.0.0.1", port, messages, concurrency=2, warm_s=0.0, seconds=0.3, server=[])
        )

    assert row["per_s"] == 0
    assert row["failed"] > 0


def test_client_leaves_no_work_behind() -> None:
    """A server that still computes what nobody waits for is neither idle nor ready for the next measurement."""
    begun, ended = [], []

    def answer(number: int) -> tuple[int, dict[str, float]]:
        begun.append(number)
        time.sleep(0.1 + 0.02 * (len(begun) % 4))  # never all at once
        ended.append(number)
        return 200, {}

    with answering(answer) as started:
        messages = [http_message(started.url, [], picture) for picture in PICTURES]
        port = int(started.url.rpartition(":")[2].partition("/")[0])
        uvloop.run(
            closed_loop("127.0.0.1", port, messages, concurrency=4, warm_s=0.0, seconds=0.1, server=[])
        )
        left_behind = len(begun) - len(ended)

    assert left_behind == 0
    assert len(ended) > 8


def test_window_of_a_slow_server_stays_open_until_every_connection_was_answered_twice() -> None:
    """Two connections, batches of one in 3 s: answers that take 6 s, in a window of 1 s. Quick ones alone would lie."""
    window = Window(begin=0.0, seconds=1.0, connections=2)
    assert not window.starts(-0.5, is_first=True)  # found it idle
    assert not window.starts(0.5, is_first=True)
    counted = [(0, 2.5, 8.5), (1, 5.5, 11.5), (0, 8.5, 14.5), (1, 11.5, 17.5), (0, 14.5, 20.5)]
    moments = sorted(
        [(start, 1, number) for number, start, _ in counted]
        + [(end, 0, number) for number, _, end in counted]
    )

    closings = []
    for moment, begins, number in moments:
        if begins:
            assert window.starts(moment, is_first=False)
        else:
            window.ends(number, 6000.0, 5000.0, is_right=True)
            if window.closes(moment):
                closings.append((moment, window.is_over))

    assert closings == [(17.5, False)]  # the last is under way, and is counted
    assert window.is_over
    assert len(window.answered_ms) == 5
    assert window.per_s(2) == pytest.approx(1 / 3)
    assert not window.starts(17.5, is_first=False)


def test_window_ends_at_last_where_nothing_comes() -> None:
    window = Window(begin=0.0, seconds=5.0, connections=1)

    assert not window.closes(59.0)
    assert window.closes(60.0)
    assert window.per_s(1) == 0.0


def measured(name: str, *, is_peer: bool, per_s: list[float], lone_ms: list[float]) -> dict[str, Any]:
    """A server of a results file, a round for each number."""
    return {
        "name": name,
        "is_peer": is_peer,
        "setting": "as it comes",
        "versions": {},
        "unavailable": None,
        "rounds": [
            {
                "agreement": {"pictures": 16, "same_class": 16, "max_difference": 1e-7},
                "loops": {
                    "1": {"per_s": rate, "p50_ms": lone, "p99_ms": 9.0, "failed": 0, "server_cpu_ms": 50.0}
                },
                "memory_mib": 500.0,
                "idle_share": 0.0,
                "best_per_s": rate,
                "lone_p50_ms": lone,
            }
            for rate, lone in zip(per_s, lone_ms, strict=True)
        ],
    }


def test_ratios_are_of_the_same_round_and_of_the_best_peer() -> None:
    """A round that was slow for everybody leaves the ratio alone."""
    results = {
        "machine": {
            "command": "python -m bench.peers",
            "date": "2026-01-01",
            "cpu": "a CPU",
            "cores": 2,
            "flags": [],
            "load_before": 0.0,
            "versions": {},
            "omp_wait_policy": "",
        },
        "minutes": 1,
        "rounds": 2,
        "seconds": 1,
        "concurrency": [1],
        "pictures": 16,
        "servers": [
            measured("Lineside", is_peer=False, per_s=[60.0, 30.0], lone_ms=[10.0, 20.0]),
            measured("slow", is_peer=True, per_s=[5.0, 5.0], lone_ms=[20.0, 40.0]),
            measured("quick", is_peer=True, per_s=[20.0, 10.0], lone_ms=[50.0, 50.0]),
        ],
    }

    row = next(line for line in peers_section(results).splitlines() if line.startswith("| **Lineside**"))

    cells = [cell.strip() for cell in row.split("|")]
    assert cells[2:6] == ["45.0 (30.0..60.0)", "3.00", "15.0 (10.0..20.0)", "0.50"]


def test_limit_is_what_the_cores_could_do_of_the_stages_alone() -> None:
    """The engine at the batch size that costs least; the client's own time counts where it shares the cores."""
    row = {
        "stages": {
            "decode": {"cpu_ms": 4.0},
            "geometry": {"cpu_ms": 1.0},
            "engine": {"1": {"cpu_ms": 30.0}, "8": {"cpu_ms": 15.0}},
        },
        "loops": {"1": {"per_s": 20.0, "client_cpu_ms": 0.4}, "16": {"per_s": 80.0, "client_cpu_ms": 5.0}},
    }

    assert limit_per_s(row, 2) == pytest.approx(2000 / 20)
    assert limit_beside_client_per_s(row, 2) == pytest.approx(2000 / 25)


def test_page_is_that_of_the_results() -> None:
    """Nobody edits it, and no result lies beside a page that does not show it."""
    shown = sorted(file for pattern, _, _ in SECTIONS for file in RESULTS.glob(pattern))

    assert shown == sorted(RESULTS.glob("*.json"))
    assert (HERE / "README.md").read_text("utf-8") == page_text()


def test_page_names_every_program_that_measures() -> None:
    """Those of the Makefile."""
    makefile = (HERE.parent / "Makefile").read_text("utf-8")

    for target in re.findall(r"^(bench[a-z-]*):", makefile, re.MULTILINE):
        assert f"`make {target}`" in HEAD
