"""How inference, decoding and the event loop share the cores: `lineside serve` with OpenVINO, one ResNet-50, real JPEGs.

Every number of inference threads with every number of image threads, the inference threads pinned to cores or not; a
closed loop of 1 and of 16 from a second process (bench/client.py). Each round starts every server once, in an order
of its own; the table shows the medians over the rounds. docs/adr/0007 is decided by it.

    make bench-cores            # or: python bench/cores.py --rounds 5 --seconds 8 --threads 1 2
"""

import argparse
import itertools
import json
import os
import platform
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import httpx
from support.bundles import CARCASS, CARCASS_HEAD, write_random_bundle
from support.pictures import picture_file

HERE = Path(__file__).resolve().parent
PATIENCE_S = 600.0
"""The first start converts the network."""
SERVER = """
import app.engines.openvino_engine as engine
engine.PINS_THREADS = {pins}
from app.cli.main import main
main()
"""


@dataclass(frozen=True)
class Case:
    """How one server shares the cores."""

    inference_threads: int
    image_threads: int
    pins: bool


@contextmanager
def serving(case: Case, folder: Path) -> Iterator[str]:
    """`lineside serve`, ready; its address."""
    log = folder / "server.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LINESIDE_")}
    environment |= {
        "LINESIDE_MODEL_REPOSITORY": str(folder / "models"),
        "LINESIDE_CACHE_FOLDER": str(folder / "cache"),
        "LINESIDE_PORT": "0",
        "LINESIDE_DEVICE": "cpu",
        "LINESIDE_ENGINE": "openvino",
        "LINESIDE_LAYER_MAPS": "off",
        "LINESIDE_INFERENCE_THREADS": str(case.inference_threads),
        "LINESIDE_IMAGE_THREADS": str(case.image_threads),
        "LINESIDE_SHUTDOWN_GRACE_S": "0",
    }
    command = [sys.executable, "-c", SERVER.format(pins=case.pins), "serve"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        yield ready(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ready(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """The address, once the model has proved itself; raises RuntimeError with the log's end."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"listening on (http://[0-9.]+:\d+)", log.read_text("utf-8")):
            try:
                if httpx.get(f"{found[1]}/readyz").status_code == 200:
                    return found[1]
            except httpx.TransportError:
                pass  # told before uvicorn accepts
        time.sleep(0.2)
    raise RuntimeError(f"the server did not become ready: {log.read_text('utf-8')[-2000:]}")


def measure(
    case: Case, folder: Path, concurrency: list[int], *, seconds: float
) -> dict[int, dict[str, float]]:
    """One round of one server: concurrency -> images/s, p50 and p99 in ms, failures."""
    with serving(case, folder) as url:
        client = subprocess.run(
            [
                *(
                    sys.executable,
                    HERE / "client.py",
                    f"{url}/predict?deadline_ms=60000",
                    folder / "pictures",
                ),
                *("--header", "Content-Type: image/jpeg", "--seconds", str(seconds)),
                *("--concurrency", *map(str, concurrency)),
            ],
            check=True,
            stdout=subprocess.PIPE,
        )
    return {int(count): row for count, row in json.loads(client.stdout).items()}


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=8.0)
    arguments.add_argument(
        "--threads", type=int, nargs="+", default=[1, 2], help="of inference and of images"
    )
    arguments.add_argument("--concurrency", type=int, nargs="+", default=[1, 16])
    arguments.add_argument("--architecture", default="resnet50")
    arguments.add_argument("--json", type=Path, help="every round's figures")
    options = arguments.parse_args()
    cases = [Case(*each) for each in itertools.product(options.threads, options.threads, (False, True))]
    rounds: dict[Case, list[dict[int, dict[str, float]]]] = {case: [] for case in cases}
    load = os.getloadavg()[0]
    shuffled = random.Random(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_random_bundle(
            folder / "models", architecture=options.architecture, head=CARCASS_HEAD, steps=CARCASS
        )
        (folder / "pictures").mkdir()
        for number in range(8):
            picture = picture_file(number, width=768, height=574)
            (folder / "pictures" / f"{number}.jpg").write_bytes(picture)
        for number in range(options.rounds):
            for case in shuffled.sample(cases, len(cases)):
                row = measure(case, folder, options.concurrency, seconds=options.seconds)
                rounds[case].append(row)
                print(f"round {number + 1} {case}: {row}", file=sys.stderr)
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {load:.1f} from elsewhere, openvino "
        f"{version('openvino')}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}; {options.architecture}, "
        f"768 x 574 JPEG; medians of {options.rounds} rounds of {options.seconds:g} s\n"
    )
    print_table(rounds, options.concurrency)
    if options.json:
        options.json.write_text(json.dumps([[vars(case), rows] for case, rows in rounds.items()], indent=1))


def print_table(rounds: dict[Case, list[dict[int, dict[str, float]]]], concurrency: list[int]) -> None:
    """Markdown, for the ADR."""
    columns = [f"{what} at {count}" for count in concurrency for what in ("images/s", "p50 ms", "p99 ms")]
    print(f"| inference threads | image threads | pinned | {' | '.join(columns)} | failed |")
    print("|" + " --- |" * (len(columns) + 4))
    for case, rows in rounds.items():
        cells = [
            f"{statistics.median(row[count][key] for row in rows):.1f}"
            for count in concurrency
            for key in ("per_s", "p50_ms", "p99_ms")
        ]
        failed = sum(row[count]["failed"] for row in rows for count in concurrency)
        pinned = "yes" if case.pins else "no"
        print(
            f"| {case.inference_threads} | {case.image_threads} | {pinned} | {' | '.join(cells)} | {failed:.0f} |"
        )


if __name__ == "__main__":
    main()
