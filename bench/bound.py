"""What ten times the capacity leaves whoever serves: the engine beside a server that refuses everybody and does nothing else.

closed loop at `lineside serve`, alone -> beside a flood at bench/refusing.py -> alone again

Each refused request has a connection of its own, and its picture is received. The client of the flood lives on the same
cores as everywhere here. So the share that the closed loop keeps is about the most of its capacity that any server in
Python could answer in time; bench/overload.py measures what ours does.

    make bench-bound            # or: python -m bench.bound --only 'Lineside openvino int8' --rounds 5
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from bench import machine
from bench.client import cpu_s
from bench.measuring import closed_loops
from bench.overload import CALLERS, TIMES
from bench.servers import OURS
from bench.starting import Running, free_port, running
from bench.workload import Unavailable, Workload

HERE = Path(__file__).resolve().parent
SECONDS = 8.0
LONGER_S = 6.0
"""The flood goes on for that much longer than the closed loop is looked at, which warms up first."""


@contextmanager
def refusing(port: int) -> Iterator[psutil.Process]:
    """bench/refusing.py, up.

    Raises:
        Unavailable: it does not come up.
    """
    with subprocess.Popen([sys.executable, HERE / "refusing.py", str(port)]) as server:
        try:
            for _ in range(600):
                try:
                    httpx.post(f"http://127.0.0.1:{port}", content=b"x", headers={"Content-Length": "1"})
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            else:
                raise Unavailable("bench/refusing.py did not come up")
            yield psutil.Process(server.pid)
        finally:
            server.terminate()


@contextmanager
def flooded(port: int, pictures: list[bytes], *, rate: float, seconds: float) -> Iterator[psutil.Process]:
    """bench/flood.py, on its way; waited for at the end."""
    with tempfile.TemporaryDirectory() as folder:
        for number, picture in enumerate(pictures):
            (Path(folder) / f"{number:03}").write_bytes(picture)
        command = [sys.executable, str(HERE / "flood.py"), str(port), folder, str(rate), str(seconds)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            client.stdout.readline()  # it has begun
            yield psutil.Process(client.pid)
            print(client.stdout.read().strip(), flush=True)


def measure(started: Running, pictures: list[bytes], *, seconds: float) -> dict[str, float]:
    """The share of its capacity that the closed loop keeps, and the cores that the flood takes."""

    def per_s() -> float:
        return closed_loops(started, pictures, concurrency=[CALLERS], seconds=seconds)[str(CALLERS)]["per_s"]

    before, port = per_s(), free_port()
    rate = (TIMES - 1) * before  # those who are answered are not refused
    with refusing(port) as server, flooded(port, pictures, rate=rate, seconds=seconds + LONGER_S) as client:
        since, used = time.perf_counter(), [cpu_s([server]), cpu_s([client])]
        beside = per_s()
        lasted = time.perf_counter() - since
        took = [
            (cpu_s([one]) - earlier) / lasted for one, earlier in zip((server, client), used, strict=True)
        ]
    around = (before + per_s()) / 2
    return {
        "capacity_per_s": around,
        "share_kept": beside / around,
        "refuser_cores": took[0],
        "client_cores": took[1],
    }


def main() -> None:
    """Measure and print."""
    names = [server.name for server in OURS]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--only", metavar="NAME", choices=names, default=names[-1], help="which of them")
    chosen = parser.parse_args()
    print(*(f"{name}: {value}" for name, value in machine.facts("bench.bound").items()), sep="\n")
    server = OURS[names.index(chosen.only)]
    with tempfile.TemporaryDirectory() as folder:
        workload = Workload(Path(folder))
        with running(server, workload) as started:
            rows = [measure(started, workload.pictures, seconds=chosen.seconds) for _ in range(chosen.rounds)]
    for name in rows[0]:
        values = [row[name] for row in rows]
        print(f"{name}: {statistics.median(values):.3f} ({', '.join(f'{value:.3f}' for value in values)})")


if __name__ == "__main__":
    main()
