"""Each stage of a prediction alone, in this process: what decoding, geometry and the engine cost without a server.

    LINESIDE_MODEL_REPOSITORY=models python -m bench.stages PICTURES --seconds 2

PICTURES is a folder of picture files. The engine is the one that `lineside serve` would build from the same
LINESIDE_ variables. Prints one JSON object, in milliseconds an image: the wall's and the CPU's, of all threads.
"""

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from app.serving.deployment import Deployment
from app.settings import load_settings
from app.wiring import Wiring


def alone(work: Callable[[], object], *, images: int, seconds: float) -> dict[str, float]:
    """The median wall and the mean CPU milliseconds an image.

    Args:
        images: that one call of `work` takes.
    """
    work()
    walls: list[float] = []
    cpu, end = time.process_time(), time.perf_counter() + seconds
    while time.perf_counter() < end or len(walls) < 3:
        started = time.perf_counter()
        work()
        walls.append(time.perf_counter() - started)
    cpu = time.process_time() - cpu
    return {
        "wall_ms": float(np.median(walls)) / images * 1000,
        "cpu_ms": cpu / len(walls) / images * 1000,
    }


def stages(deployment: Deployment, files: list[bytes], *, seconds: float) -> dict[str, object]:
    """Decode, geometry, the engine at every batch size; and the three in turn, one picture after the other."""
    pictures = [deployment.decode(data, keeps_picture=False) for data in files]
    pixels = [deployment.preprocess(picture).pixels for picture in pictures]

    def engine_at(size: int) -> dict[str, float]:
        batch = np.stack([pixels[number % len(pixels)] for number in range(size)])
        return alone(lambda: deployment.engine.run(batch), images=size, seconds=seconds)

    turn = itertools.cycle(files)

    def one_picture() -> object:
        prepared = deployment.preprocess(deployment.decode(next(turn), keeps_picture=False))
        return deployment.engine.run(prepared.pixels[np.newaxis])

    return {
        "decode": alone(
            lambda: [deployment.decode(data, keeps_picture=False) for data in files],
            images=len(files),
            seconds=seconds,
        ),
        "geometry": alone(
            lambda: [deployment.preprocess(picture) for picture in pictures],
            images=len(pictures),
            seconds=seconds,
        ),
        "engine": {str(size): engine_at(size) for size in deployment.batch_sizes},
        "in_turn": alone(one_picture, images=1, seconds=seconds),
    }


async def _measure(files: list[bytes], seconds: float) -> dict[str, object]:
    wiring = Wiring(load_settings())
    await wiring.load_models()
    try:
        deployment = wiring.catalogue.find_ready(None, None)
        return stages(deployment, files, seconds=seconds)
    finally:
        await wiring.service.close(timeout_s=5)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each stage and batch size")
    chosen = parser.parse_args()
    files = [file.read_bytes() for file in sorted(chosen.pictures.iterdir())]
    json.dump(asyncio.run(_measure(files, chosen.seconds)), sys.stdout)


if __name__ == "__main__":
    main()
