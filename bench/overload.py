"""Ten times the capacity for some seconds, against `lineside serve` with a ResNet-50 and real JPEGs over HTTP.

Promised are refusals within 20 ms with Retry-After, the accepted in time, flat memory, recovery at once. The client
is a second process of the same cores, so its own time is in every figure; its share is printed.

    make bench-overload
"""

import asyncio
import gc
import select
import socket
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from bench import machine
from bench.client import Connection, closed_loop, http_message
from bench.servers import OURS
from bench.starting import Running, running
from bench.workload import Unavailable, Workload

SECONDS = 10.0
"""Answers come in lumps of a batch; in less time a lump more or less would show."""
DEADLINE_MS = 2000
TIMES = 10
CALLERS = 16
PATIENCE_S = 60.0


async def post(host: str, port: int, message: bytes) -> tuple[int, float]:
    """One request on a connection of its own: status (0: no answer), milliseconds."""
    started = time.perf_counter()
    try:
        transport, connection = await asyncio.get_running_loop().create_connection(Connection, host, port)
        try:
            status = await asyncio.wait_for(connection.post(message), PATIENCE_S)
        finally:
            transport.close()
    except OSError:  # TimeoutError is one
        return 0, (time.perf_counter() - started) * 1000
    return status, (time.perf_counter() - started) * 1000


@dataclass(frozen=True)
class Ended:
    """One request of a flood."""

    status: int
    """0: the connection broke, or nothing came in time."""
    milliseconds: float
    has_retry_after: bool
    at_s: float
    """When the answer came, since the flood began."""


class _Call:
    """One connection of its own for one request."""

    def __init__(self, address: tuple[str, int], message: bytes) -> None:
        self.started = time.perf_counter()
        self.left = memoryview(message)
        self.answer = b""
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, len(message))
        self.socket.connect_ex(address)

    def go_on(self) -> bool:
        """Send and receive what can be, without waiting; whether it is over."""
        try:
            while self.left:
                self.left = self.left[self.socket.send(self.left) :]
        except BlockingIOError:
            pass
        except OSError:
            self.left = self.left[:0]  # refused and closed before all of it was sent: the answer may be there
        try:
            while chunk := self.socket.recv(1 << 16):
                self.answer += chunk
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def ended(self, began: float) -> Ended:
        """What came of it; closes the connection."""
        self.socket.close()
        now = time.perf_counter()
        words = self.answer.split(None, 2)
        status = int(words[1]) if len(words) > 1 else 0
        has_retry_after = b"\nretry-after:" in self.answer.lower()
        return Ended(status, (now - self.started) * 1000, has_retry_after, now - began)


def flood(host: str, port: int, messages: list[bytes], *, rate: float, seconds: float) -> list[Ended]:
    """An open loop: requests leave on time, each by a connection of its own, whatever happens to those before.

    Plain sockets: the client lives on the server's cores, and what it takes is missing there.

    Args:
        host: of the server.
        port: of the server.
        messages: posted in turn; the server closes the connection after its answer.
        rate: requests a second.
        seconds: for which they leave; those under way at the end are waited for.
    """
    ended: list[Ended] = []
    calls: dict[int, _Call] = {}
    began, count, total = time.perf_counter(), 0, int(rate * seconds)
    with select.epoll() as poll:
        while (count < total or calls) and time.perf_counter() - began < seconds + PATIENCE_S:
            due = began + count / rate - time.perf_counter() if count < total else 1.0
            for number, _ in poll.poll(max(0.0, due)):
                if calls[number].go_on():
                    poll.unregister(number)
                    ended.append(calls.pop(number).ended(began))
            while count < total and began + count / rate <= time.perf_counter():
                call = _Call((host, port), messages[count % len(messages)])
                calls[call.socket.fileno()] = call
                poll.register(call.socket.fileno(), select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
                count += 1
    return ended + [call.ended(began) for call in calls.values()]


def measure(started: Running, pictures: list[bytes], *, seconds: float) -> dict[str, object]:
    """Capacity in a closed loop, ten times that, capacity again.

    Raises:
        Unavailable: nothing was answered.
    """
    address = urlsplit(started.url)
    host, port = address.hostname or "", address.port or 0
    url, headers = f"http://{address.netloc}/predict?deadline_ms=", started.server.headers
    patient = [http_message(f"{url}60000", headers, picture) for picture in pictures]
    hurried = [
        http_message(f"{url}{DEADLINE_MS}", (*headers, "Connection: close"), picture) for picture in pictures
    ]

    def capacity() -> float:
        with _quick_collections():
            row = uvloop.run(
                closed_loop(host, port, patient, concurrency=CALLERS, warm_s=1.5, seconds=seconds, server=[])
            )
        return row["per_s"]

    earlier = capacity()
    if not earlier:
        raise Unavailable("no picture was answered: this machine is too busy to measure anything")
    before, cpu, since = started.rss_mib(), time.process_time(), time.perf_counter()
    filling_s = DEADLINE_MS / 1000
    with _quick_collections():
        ended = flood(host, port, hurried, rate=TIMES * earlier, seconds=filling_s + seconds)
    share = (time.process_time() - cpu) / (time.perf_counter() - since)
    after = started.rss_mib()
    status, recovery_ms = uvloop.run(post(host, port, patient[0]))
    by_status: dict[int, list[float]] = defaultdict(list)
    for one in ended:
        by_status[one.status].append(one.milliseconds)
    # Before and after: other users of the machine come and go.
    around = (earlier + capacity()) / 2
    refused = [one for one in ended if one.status == 503]
    # Looked at once the queue is full: what the first seconds put into it is answered later.
    meanwhile = sum(one.status == 200 and filling_s <= one.at_s < filling_s + seconds for one in ended)
    return {
        "capacity_per_s": around,
        "offered_per_s": TIMES * earlier,
        "seconds": seconds,
        "deadline_ms": DEADLINE_MS,
        "by_status": {str(status): _quantiles(by_status[status]) for status in sorted(by_status)},
        "refused_with_retry_after": sum(one.has_retry_after for one in refused) / len(refused)
        if refused
        else None,
        "goodput": meanwhile / seconds / around,
        "memory_mib": [before, after],
        "next_status": status,
        "next_ms": recovery_ms,
        "client_share": share,
    }


@contextmanager
def _quick_collections() -> Iterator[None]:
    """A full collection of this process, which holds torch, took 0.3 s; what was due by then all left at once."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _quantiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "count": len(ordered),
        "p50_ms": statistics.median(ordered),
        "p99_ms": ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))],
        "worst_ms": ordered[-1],
    }


def main() -> None:
    """Measure and print, the first engine."""
    facts = machine.facts("bench.overload")
    with tempfile.TemporaryDirectory() as folder:
        workload = Workload(Path(folder))
        with running(OURS[0], workload) as started:
            seen = measure(started, workload.pictures, seconds=SECONDS)
    print(*(f"{name}: {value}" for name, value in (facts | seen).items()), sep="\n")


if __name__ == "__main__":
    main()
