"""Ten times the capacity for some seconds, against `lineside serve` with a ResNet-50 and real JPEGs over HTTP.

Promised are refusals within 20 ms with Retry-After, the accepted in time, flat memory, recovery at once. The client
is a second process of the same cores, so its own time is in every figure; its share is printed. It comes in two kinds:
with a new connection for each request, as scripts have it and nothing is dearer, and over kept ones, as HTTP libraries.

    make bench-overload
    python -m bench.overload --only 'Lineside openvino int8' --side 96 --rounds 2

With --side the network gets smaller pictures and the server a capacity as of a quicker processor: ten times that is more
requests a second, which is what makes an overload hard.
"""

import argparse
import asyncio
import gc
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from bench import machine
from bench.client import Connection, closed_loop, http_message
from bench.flood import PATIENCE_S, flood
from bench.servers import OURS
from bench.starting import Running, running
from bench.workload import SIDE, Unavailable, Workload

SECONDS = 10.0
"""Answers come in lumps of a batch; in less time a lump more or less would show."""
DEADLINE_MS = 2000
TIMES = 10
CALLERS = 16


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


def measure(started: Running, pictures: list[bytes], *, seconds: float, keeps: bool) -> dict[str, object]:
    """Capacity in a closed loop, ten times that, capacity again.

    Args:
        started: the server.
        pictures: posted in turn.
        seconds: in which answers are counted, once the queue is full.
        keeps: connections are kept, as `bench.flood.flood`.

    Raises:
        Unavailable: nothing was answered.
    """
    address = urlsplit(started.url)
    host, port = address.hostname or "", address.port or 0
    url, headers = f"http://{address.netloc}/predict?deadline_ms=", started.server.headers
    patient = [http_message(f"{url}60000", headers, picture) for picture in pictures]
    hurried = [
        http_message(f"{url}{DEADLINE_MS}", (*headers, *([] if keeps else ["Connection: close"])), picture)
        for picture in pictures
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
        ended = flood(host, port, hurried, rate=TIMES * earlier, seconds=filling_s + seconds, keeps=keeps)
    share = (time.process_time() - cpu) / (time.perf_counter() - since)
    after = started.rss_mib()
    status, recovery_ms = uvloop.run(post(host, port, patient[0]))
    by_status: dict[int, list[float]] = defaultdict(list)
    for one in ended:
        by_status[one.status].append(one.milliseconds)
    # Before and after: other users of the machine come and go.
    around = (earlier + capacity()) / 2
    refused = [one for one in ended if one.status == 503]
    refused_later = [one.milliseconds for one in refused if one.at_s >= filling_s]
    # Looked at once the queue is full: what the first seconds put into it is answered later.
    meanwhile = sum(one.status == 200 and filling_s <= one.at_s < filling_s + seconds for one in ended)
    return {
        "capacity_per_s": around,
        "offered_per_s": TIMES * earlier,
        "seconds": seconds,
        "deadline_ms": DEADLINE_MS,
        "by_status": {str(status): _quantiles(by_status[status]) for status in sorted(by_status)},
        "refused_once_full": _quantiles(refused_later) if refused_later else None,
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
    """Measure and print."""
    names = [server.name for server in OURS]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--only", metavar="NAME", choices=names, default=names[0], help="which of them")
    parser.add_argument("--side", type=int, default=SIDE, help="pixels of the network's input")
    chosen = parser.parse_args()
    print(*(f"{name}: {value}" for name, value in machine.facts("bench.overload").items()), sep="\n")
    server = OURS[names.index(chosen.only)]
    with tempfile.TemporaryDirectory() as folder:
        workload = Workload(Path(folder), side=chosen.side)
        with running(server, workload) as started:
            for _ in range(chosen.rounds):
                for keeps in (False, True):
                    seen = measure(started, workload.pictures, seconds=chosen.seconds, keeps=keeps)
                    print("", "connections kept" if keeps else "a connection for each request", sep="\n")
                    print(*(f"{name}: {value}" for name, value in seen.items()), sep="\n", flush=True)


if __name__ == "__main__":
    main()
