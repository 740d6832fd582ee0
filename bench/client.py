"""A client in a process of its own: closed loops over keep-alive connections, as fast as the server answers.

    python bench/client.py http://127.0.0.1:8000/predict BODIES --header 'Content-Type: image/jpeg' \
        --concurrency 1 4 16 64 --seconds 5 --pid 4711

BODIES is a folder of request bodies, posted in turn. Prints one JSON object: for each concurrency the answered
requests a second, p50 and p99 of their latency in milliseconds, how many were not answered with 200, and the CPU
milliseconds an answer cost this client and, with --pid, that server's processes: the client lives on the same
cores, so what it takes is missing to the server.
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
        self.parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def connection_lost(self, _: Exception | None) -> None:
        if self.done and not self.done.done():
            self.done.set_exception(ConnectionError("the server closed the connection"))

    def on_message_complete(self) -> None:
        status = self.parser.get_status_code()
        self.parser = httptools.HttpResponseParser(self)
        if self.done and not self.done.done():
            self.done.set_result(status)

    async def post(self, message: bytes) -> int:
        """The status of the answer to this whole HTTP message."""
        self.done = asyncio.get_running_loop().create_future()
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
    """Each connection posts its next picture when its last was answered.

    The rate is concurrency / mean latency (Little's law: a connection is never without a request). Answers come in
    lumps of a batch, and counting them in a window of a few seconds is off by up to a lump at each end. A connection's
    first request, which found the queue still short, is not in the mean. Where anything failed, or not every connection
    could be answered once, the answers are counted after all.

    Args:
        server: processes whose CPU time is asked for.
    """
    loop = asyncio.get_running_loop()
    begin = time.perf_counter() + warm_s
    end = begin + seconds
    latencies: list[float] = []
    steady: list[float] = []
    failed = 0
    used: list[tuple[float, float, float]] = []
    for delay in (warm_s, warm_s + seconds):
        loop.call_later(delay, lambda: used.append((time.perf_counter(), time.process_time(), cpu_s(server))))

    async def run(number: int) -> None:
        nonlocal failed
        connection: Connection | None = None
        position = number
        while time.perf_counter() < end:
            started = time.perf_counter()
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
            if begin <= finished < end:
                if status == 200:
                    latencies.append((finished - started) * 1000)
                    if position >= 2 * concurrency:
                        steady.append(latencies[-1])
                else:
                    failed += 1
        if connection:
            connection.transport.close()

    await asyncio.gather(*(run(number) for number in range(concurrency)))
    await asyncio.sleep(max(0.0, end + 0.05 - time.perf_counter()))  # until the second reading was taken
    ordered = sorted(latencies) or [float("nan")]
    per_s = len(latencies) / seconds
    if len(steady) >= concurrency and not failed:
        per_s = concurrency / statistics.mean(steady) * 1000
    wall, client, served = (last - first for first, last in zip(*used, strict=True))
    answered = max(1.0, per_s * wall)
    return {
        "per_s": per_s,
        "client_cpu_ms": client / answered * 1000,
        "server_cpu_ms": served / answered * 1000,
        "p50_ms": statistics.median(ordered),
        "p99_ms": ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))],
        "failed": failed,
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
