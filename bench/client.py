"""A client in a process of its own: closed loops over keep-alive connections, as fast as the server answers.

    python bench/client.py http://127.0.0.1:8000/predict BODIES --header 'Content-Type: image/jpeg' \
        --concurrency 1 4 16 64 --seconds 5

BODIES is a folder of request bodies, posted in turn. Prints one JSON object: for each concurrency the answered
requests a second, p50 and p99 of their latency in milliseconds, and how many were not answered with 200.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import httptools
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


async def closed_loop(
    host: str, port: int, messages: list[bytes], *, concurrency: int, warm_s: float, seconds: float
) -> dict[str, float]:
    """Each connection posts its next picture when its last was answered."""
    loop = asyncio.get_running_loop()
    begin = time.perf_counter() + warm_s
    end = begin + seconds
    latencies: list[float] = []
    failed = 0

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
                status, connection = 0, None
                await asyncio.sleep(0.05)
            finished = time.perf_counter()
            position += concurrency
            if begin <= finished < end:
                if status == 200:
                    latencies.append((finished - started) * 1000)
                else:
                    failed += 1
        if connection:
            connection.transport.close()

    await asyncio.gather(*(run(number) for number in range(concurrency)))
    ordered = sorted(latencies) or [float("nan")]
    return {
        "per_s": len(latencies) / seconds,
        "p50_ms": statistics.median(ordered),
        "p99_ms": ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))],
        "failed": failed,
    }


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("url")
    arguments.add_argument("bodies", type=Path)
    arguments.add_argument("--header", action="append", default=[])
    arguments.add_argument("--concurrency", type=int, nargs="+", default=[1, 4, 16, 64])
    arguments.add_argument("--seconds", type=float, default=5.0)
    arguments.add_argument("--warm", type=float, default=2.0, help="seconds before the measurement")
    options = arguments.parse_args()
    address = urlsplit(options.url)
    path = address.path + (f"?{address.query}" if address.query else "")
    messages = []
    for file in sorted(options.bodies.iterdir()):
        body = file.read_bytes()
        lines = [
            f"POST {path} HTTP/1.1",
            f"Host: {address.netloc}",
            f"Content-Length: {len(body)}",
            *options.header,
        ]
        messages.append(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
    measured = {
        concurrency: uvloop.run(
            closed_loop(
                address.hostname or "127.0.0.1",
                address.port or 80,
                messages,
                concurrency=concurrency,
                warm_s=options.warm,
                seconds=options.seconds,
            )
        )
        for concurrency in options.concurrency
    }
    json.dump(measured, sys.stdout)


if __name__ == "__main__":
    main()
