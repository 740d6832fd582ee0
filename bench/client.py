"""A client in a process of its own: closed loops over keep-alive connections, as fast as the server answers.

    python bench/client.py http://127.0.0.1:8000/predict BODIES --header 'Content-Type: image/jpeg' \
        --concurrency 1 4 16 64 --seconds 5 --pid 4711

BODIES is a folder of request bodies, posted in turn. Prints one JSON object: for each concurrency the answered
requests a second, p50 and p99 of their latency in milliseconds (from the first byte sent to the last one read), how many
were not answered with 200, how long that was looked at, and the CPU milliseconds an answer cost this client and, with
--pid, that server's processes: the client lives on the same cores, so what it takes is missing to the server.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import httptools
import psutil
import uvloop


class Connection(asyncio.Protocol):
    """One keep-alive connection; httptools reads the answers, chunked or not."""

    def __init__(self) -> None:
        self.done: asyncio.Future[int] | None = None
        self.begun = self.ended = 0.0
        """time.perf_counter() of the last request's first byte and of its answer's last."""
        self.parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def connection_lost(self, _: Exception | None) -> None:
        if self.done and not self.done.done():
            self.done.set_exception(ConnectionError("the server closed the connection"))

    def on_message_complete(self) -> None:
        self.ended = time.perf_counter()
        status = self.parser.get_status_code()
        self.parser = httptools.HttpResponseParser(self)
        if self.done and not self.done.done():
            self.done.set_result(status)

    async def post(self, message: bytes) -> int:
        """The status of the answer to this whole HTTP message."""
        self.done = asyncio.get_running_loop().create_future()
        self.begun = time.perf_counter()
        self.transport.write(message)
        return await self.done


def cpu_s(processes: list[psutil.Process]) -> float:
    """CPU seconds that they have used; those that have gone count nothing."""
    used = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        used += times.user + times.system
    return used


def family(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


LEAST_EACH = 2
"""Requests of every connection that are counted, at least: a window that ends before the slow ones are answered shows only
the quick ones, and counts a lump of a batch more or less."""
LONGEST_S = 60.0
"""A window lasts no longer; who did not get so many answers by then is counted as it is."""


class Window:
    """Which requests are counted: all that begin within it, each to its end.

    Args:
        begin: time.perf_counter(). What began earlier found the queue still short.
        seconds: it lasts, and longer where not every connection had enough of them.
        connections: how many.
    """

    def __init__(self, begin: float, seconds: float, connections: int) -> None:
        self._begin = begin
        self._seconds = seconds
        self._ended = [0] * connections
        self._under_way = 0
        self.closed_at: float | None = None
        self.answered_ms: list[float] = []
        """From a request's first byte to its answer's last."""
        self._cycles_ms: list[float] = []
        """And with what the client itself takes between them."""
        self.failed = 0

    @property
    def is_over(self) -> bool:
        """Nothing that is counted is under way any more; until then nobody stops asking, or the last would find it idle."""
        return self.closed_at is not None and not self._under_way

    def starts(self, started: float, *, is_first: bool) -> bool:
        """Whether this request is counted."""
        counts = self.closed_at is None and started >= self._begin and not is_first
        self._under_way += counts
        return counts

    def ends(self, connection: int, cycle_ms: float, latency_ms: float, *, is_right: bool) -> None:
        """One that is counted."""
        self._under_way -= 1
        self._ended[connection] += 1
        if is_right:
            self.answered_ms.append(latency_ms)
            self._cycles_ms.append(cycle_ms)
        else:
            self.failed += 1

    def closes(self, now: float) -> bool:
        """Whether its time has come just now."""
        lasted = now - self._begin
        enough = min(self._ended) >= LEAST_EACH or lasted >= LONGEST_S
        if self.closed_at is not None or lasted < self._seconds or not enough:
            return False
        self.closed_at = now
        return True

    def per_s(self, connections: int) -> float:
        """Answers a second.

        Connections / mean cycle (Little's law: the next request follows its answer at once), unless some failed, which would
        look like speed. Counting answers instead would be off by up to a batch at each end.
        """
        if self.closed_at is None or not self.answered_ms:
            return 0.0
        if self.failed:
            return len(self.answered_ms) / (self.closed_at - self._begin)
        return connections / statistics.mean(self._cycles_ms) * 1000


async def closed_loop(
    host: str,
    port: int,
    messages: list[bytes],
    *,
    concurrency: int,
    warm_s: float,
    seconds: float,
    server: list[psutil.Process],
) -> dict[str, float]:
    """Each connection posts its next picture when its last was answered; see Window for what is counted.

    Args:
        seconds: at least.
        server: processes whose CPU time is asked for.
    """
    loop = asyncio.get_running_loop()
    begin = time.perf_counter() + warm_s
    window = Window(begin, seconds, concurrency)
    used: list[tuple[float, float, float]] = []

    def read() -> None:
        used.append((time.perf_counter(), time.process_time(), cpu_s(server)))

    loop.call_later(warm_s, read)

    async def run(number: int) -> None:
        connection: Connection | None = None
        position = number
        try:
            while not window.is_over:
                started = time.perf_counter()
                counts = window.starts(started, is_first=position == number)
                try:
                    if connection is None:
                        _, connection = await loop.create_connection(Connection, host, port)
                    status = await asyncio.wait_for(connection.post(messages[position % len(messages)]), 60)
                except (ConnectionError, OSError, TimeoutError, httptools.HttpParserError):
                    if connection:
                        connection.transport.abort()
                    status, connection = 0, None
                    await asyncio.sleep(0.05)
                finished = time.perf_counter()
                position += concurrency
                if counts:
                    latency_s = connection.ended - connection.begun if connection else 0.0
                    window.ends(number, (finished - started) * 1000, latency_s * 1000, is_right=status == 200)
                if window.closes(finished):
                    read()
        finally:
            if connection:
                connection.transport.close()

    # Also those whose last answer is not counted wait for it: most servers would still work through what is left behind,
    # and what is measured next, or said to be idle, would be that.
    await asyncio.gather(*(run(number) for number in range(concurrency)))
    wall, client, served = (last - first for first, last in zip(*used, strict=True))
    ordered = sorted(window.answered_ms) or [float("nan")]
    per_s = window.per_s(concurrency)
    answered = max(1.0, per_s * wall)
    return {
        "per_s": per_s,
        "seconds": wall,
        "client_cpu_ms": client / answered * 1000,
        "server_cpu_ms": served / answered * 1000,
        "p50_ms": statistics.median(ordered),
        "p99_ms": ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))],
        "failed": window.failed,
    }


def http_message(url: str, headers: Sequence[str], body: bytes) -> bytes:
    """A whole POST."""
    address = urlsplit(url)
    path = address.path + (f"?{address.query}" if address.query else "")
    lines = [f"POST {path} HTTP/1.1", f"Host: {address.netloc}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("url")
    arguments.add_argument("bodies", type=Path)
    arguments.add_argument("--header", action="append", default=[])
    arguments.add_argument("--concurrency", type=int, nargs="+", default=[1, 4, 16, 64])
    arguments.add_argument("--seconds", type=float, default=5.0)
    arguments.add_argument("--warm", type=float, default=1.5, help="seconds before the measurement")
    arguments.add_argument("--pid", type=int, help="of the server, whose CPU time is wanted too")
    options = arguments.parse_args()
    address = urlsplit(options.url)
    messages = [
        http_message(options.url, options.header, file.read_bytes())
        for file in sorted(options.bodies.iterdir())
    ]
    server = family(options.pid) if options.pid else []
    measured = {
        concurrency: uvloop.run(
            closed_loop(
                address.hostname or "127.0.0.1",
                address.port or 80,
                messages,
                concurrency=concurrency,
                warm_s=options.warm,
                seconds=options.seconds,
                server=server,
            )
        )
        for concurrency in options.concurrency
    }
    json.dump(measured, sys.stdout)


if __name__ == "__main__":
    main()
