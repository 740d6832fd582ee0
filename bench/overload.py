"""Ten times the capacity for five seconds, against `lineside serve` with a ResNet-50 and real JPEGs over HTTP.

Prints what the issue of the first release promises: refusals within 50 ms with Retry-After, flat memory, recovery
at once. The client is a second process of the same two cores, so its own time is in every figure.

    make bench-overload
"""

import asyncio
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlsplit

import torch
from support.bundles import CARCASS, CARCASS_HEAD, write_random_bundle
from support.pictures import picture_file
from support.server import server_process

SECONDS = 5
DEADLINE_MS = 2000


async def post(host: str, port: int, body: bytes, deadline_ms: int = DEADLINE_MS) -> tuple[int, float, bool]:
    """One request on a connection of its own: status, milliseconds, whether Retry-After was there."""
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection(host, port)
    head = f"POST /predict?deadline_ms={deadline_ms} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode() + body)
    answer = await reader.read()
    writer.close()
    milliseconds = (time.perf_counter() - started) * 1000
    return int(answer[9:12]), milliseconds, b"retry-after" in answer.lower()


async def capacity(host: str, port: int, body: bytes, *, concurrency: int) -> float:
    """Answered pictures a second in a closed loop."""
    end = time.perf_counter() + SECONDS
    done = 0

    async def loop() -> None:
        nonlocal done
        while time.perf_counter() < end:
            status, _, _ = await post(host, port, body, deadline_ms=60_000)
            done += status == 200

    await asyncio.gather(*(loop() for _ in range(concurrency)))
    return done / SECONDS


async def flood(host: str, port: int, body: bytes, *, rate: float) -> dict[int, list[tuple[float, bool]]]:
    """An open loop: requests leave on time, whatever happens to those before."""
    outcomes: dict[int, list[tuple[float, bool]]] = defaultdict(list)

    async def one() -> None:
        status, milliseconds, has_retry_after = await post(host, port, body)
        outcomes[status].append((milliseconds, has_retry_after))

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * SECONDS)):
            await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
            group.create_task(one())
    return outcomes


def quantiles(values: list[float]) -> str:
    """p50, p99 and the worst."""
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return f"p50 {statistics.median(ordered):6.1f}  p99 {p99:6.1f}  worst {ordered[-1]:6.1f} ms"


def main() -> None:
    """Measure and print."""
    body = picture_file(1, width=768, height=574)
    with tempfile.TemporaryDirectory() as folder:
        write_random_bundle(Path(folder), architecture="resnet50", head=CARCASS_HEAD, steps=CARCASS)
        log = Path(folder) / "server.log"
        with server_process(Path(folder), log) as server:
            address = urlsplit(server.url)
            host, port = address.hostname or "", address.port or 0
            asyncio.run(capacity(host, port, body, concurrency=16))
            answered = asyncio.run(capacity(host, port, body, concurrency=16))
            if answered == 0:
                sys.exit("no picture was answered in time: this machine is too busy to measure anything")
            before = server.rss_mib()
            outcomes = asyncio.run(flood(host, port, body, rate=10 * answered))
            after = server.rss_mib()
            status, recovery_ms, _ = asyncio.run(post(host, port, body))
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, "
        f"Python {sys.version.split()[0]}, {time.strftime('%Y-%m-%d')}"
    )
    print(
        f"capacity          {answered:6.1f} pictures/s (closed loop of 16, 768 x 574 JPEG of {len(body) // 1024} KiB)"
    )
    print(f"offered           {10 * answered:6.1f} requests/s for {SECONDS} s, deadline {DEADLINE_MS} ms")
    for code in sorted(outcomes):
        times = [ms for ms, _ in outcomes[code]]
        print(f"  {code}: {len(times):5d}   {quantiles(times)}")
    refused = outcomes.get(503, [])
    print(f"refused with Retry-After  {sum(has for _, has in refused)} of {len(refused)}")
    print(f"goodput           {len(outcomes.get(200, [])) / SECONDS / answered:6.2f} of capacity")
    print(f"memory            {before:6.0f} -> {after:.0f} MiB")
    print(f"next request      {status} after {recovery_ms:.0f} ms")


if __name__ == "__main__":
    main()
