"""ResNet-50 on a CUDA device: the engine beside the floor that the device's own matrix rate sets, HTTP, and agreement.

    make gpu-check        # or: PYTHONPATH=tests python -m bench.gpu --device cuda:0

The floor of a batch is its multiplications (4.1 billion a picture of 224 x 224, two operations each) divided by the rate
of one large matrix product in the same precision, measured here just before. Writes bench/results/gpu.json and, from it,
bench/README.md. Without a CUDA device it says what it would measure, and ends with 0.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock

import httpx
import numpy as np
import torch
from support.bundles import CARCASS, MAX_PIXELS, write_random_bundle
from support.pictures import picture_file
from support.server import server_process

from app.bundles.repository import Bundle
from app.checkpoints.weights import read_weights
from app.engines.base import Engine
from app.engines.cuda_engine import DTYPES, CudaEngine
from app.engines.torch_engine import TorchEngine
from app.explain.maps import softmax
from app.images.decode import decode
from app.images.preprocess import preprocess
from app.nets.servable import load_servable
from bench import machine, page
from bench.gpu_page import gpu_section

ARCHITECTURE = "resnet50"
MACS = 4.1e9
"""Multiply-adds of one picture of 224 x 224; torchvision's page of the model says 4.09 GFLOPS and means these."""
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
MATRIX_SIDE = 8192
PRECISIONS = ("float32", "bfloat16", "float16")
CONCURRENCY = (1, 16, 64, 256)
PICTURES = 32
CLIENT = Path(__file__).parent / "client.py"

Build = Callable[[str], Engine]


@dataclass(frozen=True)
class Row:
    """One batch size at one precision."""

    precision: str
    size: int
    lone_ms: float
    """One batch at a time, host to host."""
    per_s: float
    """Pictures a second with as many batches under way as the engine takes."""
    floor_per_s: float


def matrix_rate(dtype: torch.dtype, device: str, *, side: int = MATRIX_SIDE, seconds: float = 2.0) -> float:
    """Operations a second of one large matrix product; the best of several, since a floor should be low."""
    left, right = (torch.randn(side, side, dtype=dtype, device=device) for _ in range(2))
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end or best == float("inf"):
        _synchronise(device)
        start = time.perf_counter()
        for _ in range(4):
            torch.mm(left, right)
        _synchronise(device)
        best = min(best, (time.perf_counter() - start) / 4)
    return 2 * side**3 / best


def measured(engine: Engine, size: int, *, seconds: float) -> tuple[float, float]:
    """(ms of a lone batch, pictures a second), of noise on the host to arrays on the host."""
    shape = (size, engine.input_size.height, engine.input_size.width, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    engine.run(images)
    times: list[float] = []
    end = time.perf_counter() + seconds / 2
    while time.perf_counter() < end or not times:
        start = time.perf_counter()
        engine.run(images)
        times.append(time.perf_counter() - start)

    def many(until: float) -> int:
        count = 0
        while time.perf_counter() < until:
            engine.run(images)
            count += 1
        return count

    start = time.perf_counter()
    with ThreadPoolExecutor(engine.batches_in_flight) as pool:
        runs = sum(pool.map(many, [start + seconds] * engine.batches_in_flight))
    return float(np.median(times)) * 1000, runs * size / (time.perf_counter() - start)


def engine_rows(build: Build, device: str, seconds: float) -> list[Row]:
    """The engine of each precision at each size, beside its floor."""
    rows = []
    for precision in PRECISIONS:
        rate = matrix_rate(DTYPES[precision], device)
        engine = build(precision)
        for size in BATCH_SIZES:
            lone_ms, per_s = measured(engine, size, seconds=seconds)
            rows.append(Row(precision, size, lone_ms, per_s, rate / (2 * MACS)))
        engine.close()
    return rows


def agreement(build: Build, bundle: Bundle) -> list[dict[str, object]]:
    """Of each precision, against torch float32 on the CPU."""
    pictures = [picture_file(seed, width=768, height=574) for seed in range(PICTURES)]
    images = np.stack(
        [
            preprocess(
                decode(data, geometry=bundle.geometry, max_pixels=MAX_PIXELS), bundle.geometry.steps
            ).pixels
            for data in pictures
        ]
    )
    reference = TorchEngine(_servable(bundle), "cpu", lock=Lock()).run(images).logits
    found: list[dict[str, object]] = []
    for precision in PRECISIONS:
        engine = build(precision)
        logits = np.concatenate(
            [engine.run(images[start : start + 8]).logits for start in range(0, len(images), 8)]
        )
        engine.close()
        differences = [
            np.abs(softmax(one) - softmax(two)).max() for one, two in zip(logits, reference, strict=True)
        ]
        found.append(
            {
                "precision": precision,
                "pictures": len(pictures),
                "same_class": int((logits.argmax(axis=1) == reference.argmax(axis=1)).sum()),
                "largest_probability_difference": float(max(differences)),
            }
        )
    return found


def http_rates(
    repository: Path, device: str, precision: str, *, seconds: float
) -> dict[str, dict[str, float]]:
    """Answered pictures a second of `lineside serve` by concurrency; the client runs on the same cores."""
    with tempfile.TemporaryDirectory() as folder:
        bodies = Path(folder) / "bodies"
        bodies.mkdir()
        for seed in range(8):
            (bodies / f"{seed}.jpg").write_bytes(picture_file(seed, width=768, height=574))
        sizes = json.dumps(BATCH_SIZES)
        with server_process(
            repository,
            Path(folder) / "server.log",
            DEVICE=device,
            PRECISION=precision,
            BATCH_SIZES=sizes,
            MAX_QUEUE_ENTRIES="512",
            MAX_REQUESTS="1024",
        ) as server:
            ready = httpx.get(f"{server.url}/readyz")
            if not ready.is_success:
                sys.exit(f"{precision} was not served, so not measured over HTTP: {ready.json()['reasons']}")
            command = [sys.executable, str(CLIENT), f"{server.url}/predict", str(bodies)]
            command += ["--header", "Content-Type: image/jpeg", "--seconds", str(seconds)]
            command += ["--pid", str(server.process.pid), "--concurrency"]
            command += [str(concurrency) for concurrency in CONCURRENCY]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
    rates: dict[str, dict[str, float]] = json.loads(done.stdout)
    return rates


def _servable(bundle: Bundle):  # type: ignore[no-untyped-def]
    return load_servable(bundle.network_spec, read_weights(bundle.weights_path))


def _synchronise(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


def _facts(device: str) -> dict[str, object]:
    return {
        **machine.facts("bench.gpu"),
        "gpu": f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}",
    }


def options() -> argparse.Namespace:
    """From the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="of each batch size, and of each concurrency"
    )
    parser.add_argument(
        "--results", type=Path, default=page.RESULTS / "gpu.json", help="where the numbers go"
    )
    return parser.parse_args()


def main() -> None:
    """Measure, write, print."""
    chosen = options()
    device: str = chosen.device
    if not torch.cuda.is_available():
        print(
            f"no CUDA device here, nothing was measured. With one: {ARCHITECTURE} in {', '.join(PRECISIONS)}, batches of "
            f"{', '.join(map(str, BATCH_SIZES))} beside the floor of the matrix rate; HTTP at concurrency "
            f"{', '.join(map(str, CONCURRENCY))}; agreement with float32 on the CPU over {PICTURES} pictures."
        )
        return
    facts, began = _facts(device), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "models"
        bundle = write_random_bundle(
            repository, architecture=ARCHITECTURE, steps=CARCASS, golden={"a.jpg": picture_file(1)}
        )

        def build(precision: str) -> Engine:
            return CudaEngine(
                _servable(bundle), device, lock=Lock(), precision=precision, batch_sizes=BATCH_SIZES
            )

        results: dict[str, object] = {
            "machine": facts,
            "minutes": 0.0,
            "engine": [asdict(row) for row in engine_rows(build, device, chosen.seconds)],
            "agreement": agreement(build, bundle),
        }
        print(gpu_section(results), flush=True)
        page.write(chosen.results, results)  # kept should the server not start
        results["http"] = {
            precision: http_rates(repository, device, precision, seconds=chosen.seconds)
            for precision in ("float32", "auto")
        }
    results["minutes"] = (time.monotonic() - began) / 60
    page.write(chosen.results, results)
    print(gpu_section(results))


if __name__ == "__main__":
    main()
