"""What an explanation costs: /explain with a JPEG overlay, and with all four layers, beside /predict.

`lineside serve` with a ResNet-50 on the CPU is one process, this client another. The kinds take turns in short
rounds, so that whatever else the machine does hits all of them; printed are pictures a second, and the server's
own CPU seconds a picture, which a busy neighbour changes less.

    make bench-explain
"""

import asyncio
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import torch
from support.bundles import CARCASS, CARCASS_HEAD, write_random_bundle
from support.pictures import picture_file
from support.server import server_process

ROUNDS = 6
SECONDS = 4.0
CONCURRENCY = 8
KINDS = {
    "/predict": ("/predict", "application/json"),
    "/explain as JPEG": ("/explain", "image/jpeg"),
    "/explain, layers=all": ("/explain?layers=all", "application/json"),
}


async def post(host: str, port: int, path: str, accept: str, body: bytes) -> bool:
    """One request on a connection of its own; whether it was answered."""
    reader, writer = await asyncio.open_connection(host, port)
    joint = "&" if "?" in path else "?"
    head = (
        f"POST {path}{joint}deadline_ms=60000 HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
    answer = await reader.read()
    writer.close()
    return answer[9:12] == b"200"


async def closed_loop(host: str, port: int, path: str, accept: str, body: bytes) -> tuple[int, float]:
    """Pictures answered, and the seconds until the last of them."""
    started = time.perf_counter()
    done = 0

    async def loop() -> None:
        nonlocal done
        while time.perf_counter() < started + SECONDS:
            done += await post(host, port, path, accept, body)

    await asyncio.gather(*(loop() for _ in range(CONCURRENCY)))
    return done, time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    body = picture_file(1, width=768, height=574)
    rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
    cpu_s: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        write_random_bundle(Path(folder), architecture="resnet50", head=CARCASS_HEAD, steps=CARCASS)
        with server_process(Path(folder), Path(folder) / "server.log") as server:
            address = urlsplit(server.url)
            host, port = address.hostname or "", address.port or 0
            process = psutil.Process(server.process.pid)
            for number in range(ROUNDS + 1):
                for kind, (path, accept) in KINDS.items():
                    before = sum(process.cpu_times()[:2])
                    done, seconds = asyncio.run(closed_loop(host, port, path, accept, body))
                    if not done:
                        sys.exit(
                            f"{kind}: nothing was answered; the log says {server.log.read_text('utf-8')}"
                        )
                    if number:  # the first round warms
                        rates[kind].append(done / seconds)
                        cpu_s[kind].append((sum(process.cpu_times()[:2]) - before) / done)
            memory = server.rss_mib()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, "
        f"Python {sys.version.split()[0]}, {time.strftime('%Y-%m-%d')}, load {os.getloadavg()[0]:.1f}"
    )
    print(
        f"ResNet-50 with the carcass head, 768 x 574 JPEG, {CONCURRENCY} callers, medians of {ROUNDS} rounds of {SECONDS:.0f} s"
    )
    for kind in KINDS:
        # Each round beside its own /predict, so that a slow minute is slow for both.
        ratio = statistics.median(a / b for a, b in zip(rates[kind], rates["/predict"], strict=True))
        cpu = statistics.median(a / b for a, b in zip(cpu_s["/predict"], cpu_s[kind], strict=True))
        print(
            f"  {kind:22s} {statistics.median(rates[kind]):6.1f} pictures/s, {ratio:.2f} of /predict; "
            f"{statistics.median(cpu_s[kind]) * 1000:6.0f} ms of CPU a picture, {cpu:.2f} of /predict"
        )
    print(f"  memory of the server   {memory:6.0f} MiB")


if __name__ == "__main__":
    main()
