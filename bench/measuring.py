"""One server, running: are its answers right, and how fast does it give them.

Running -> every picture's answer against torch float32 -> closed loops of a client in another process -> numbers.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from bench.client import cpu_s, family
from bench.requests import Answer
from bench.starting import Running
from bench.workload import Unavailable, Workload

IDLE_S = 3.0


@dataclass(frozen=True)
class Agreement:
    """A server's answers beside torch float32, all pictures asked at once, so that batches form."""

    pictures: int
    same_class: int
    max_difference: float
    """Of any class's probability."""


@dataclass(frozen=True)
class Round:
    """What one round of one server gave."""

    agreement: Agreement
    loops: dict[str, dict[str, float]]
    """By concurrency: the client's row."""
    memory_mib: float
    idle_share: float
    """Of a core, after the load."""

    @property
    def best_per_s(self) -> float:
        """Images a second at the concurrency that suits it best."""
        return max(row["per_s"] for row in self.loops.values())

    @property
    def lone_p50_ms(self) -> float:
        """Of the lowest concurrency asked for."""
        return self.loops[min(self.loops, key=int)]["p50_ms"]

    def as_json(self) -> dict[str, object]:
        """With the derived numbers."""
        return asdict(self) | {"best_per_s": self.best_per_s, "lone_p50_ms": self.lone_p50_ms}


def agreement(started: Running, pictures: Sequence[bytes], wanted_answers: Sequence[Answer]) -> Agreement:
    """All pictures at once.

    Raises:
        Unavailable: an answer is not that of the network.
    """
    server = started.server
    headers = dict(line.split(": ", 1) for line in server.headers)

    def ask(picture: bytes) -> Answer:
        try:
            response = httpx.post(started.url, content=server.body(picture), headers=headers, timeout=60)
        except httpx.TransportError as error:
            raise Unavailable(f"a picture was not answered: {type(error).__name__} {error}") from error
        if response.status_code != 200:
            raise Unavailable(f"a picture was answered with {response.status_code}: {response.text[:200]}")
        return server.read(response)

    with ThreadPoolExecutor(len(pictures)) as pool:
        answers = list(pool.map(ask, pictures))
    differences, same = [], 0
    for answer, wanted in zip(answers, wanted_answers, strict=True):
        if answer.keys() != wanted.keys():
            raise Unavailable(f"the answer names {sorted(answer)} instead of {sorted(wanted)}")
        differences.append(max(abs(answer[name] - wanted[name]) for name in wanted))
        same += max(answer, key=answer.__getitem__) == max(wanted, key=wanted.__getitem__)
    found = Agreement(len(answers), same, max(differences))
    if found.max_difference > server.tolerance:
        raise Unavailable(
            f"its answers are not the network's: a probability is off by {found.max_difference:.3g}, "
            f"{server.tolerance:g} are allowed"
        )
    return found


def closed_loops(
    started: Running, pictures: Sequence[bytes], *, concurrency: Sequence[int], seconds: float
) -> dict[str, dict[str, float]]:
    """By concurrency, the rows of bench/client.py."""
    with tempfile.TemporaryDirectory() as folder:
        for number, picture in enumerate(pictures):
            (Path(folder) / f"{number:03}").write_bytes(started.server.body(picture))
        client = subprocess.run(
            [
                *(sys.executable, Path(__file__).with_name("client.py"), started.url, folder),
                *(part for line in started.server.headers for part in ("--header", line)),
                *("--seconds", str(seconds), "--pid", str(started.pid)),
                *("--concurrency", *map(str, concurrency)),
            ],
            check=False,
            stdout=subprocess.PIPE,
        )
    if client.returncode:
        raise Unavailable("the client could not measure it; its last words are above")
    rows: dict[str, dict[str, float]] = json.loads(client.stdout)
    if failed := {number: row["failed"] for number, row in rows.items() if row["failed"]}:
        print(f"{started.server.name}: not answered with 200, by concurrency: {failed}", file=sys.stderr)
    if not any(row["per_s"] for row in rows.values()):
        raise Unavailable("under load not one picture was answered")
    return rows


def idle_share(started: Running, seconds: float) -> float:
    """CPU seconds a second that its processes take while nobody asks."""
    members = family(started.pid)
    before, since = cpu_s(members), time.perf_counter()
    time.sleep(seconds)
    return (cpu_s(members) - before) / (time.perf_counter() - since)


def measure(started: Running, workload: Workload, *, concurrency: Sequence[int], seconds: float) -> Round:
    """One round.

    Raises:
        Unavailable: its answers are wrong, or there are none.
    """
    agreed = agreement(started, workload.pictures, workload.answers)
    loops = closed_loops(started, workload.pictures, concurrency=concurrency, seconds=seconds)
    memory = started.memory_mib()
    return Round(agreed, loops, memory, idle_share(started, IDLE_S))
