"""What decoding and geometry of one JPEG cost: CPU time on one core, median, the ways interleaved in one run.

plain Pillow: what a training script does (open, convert, resize, crop, to numpy). exact: this server, the same bits.
scaled: this server with `decode = "scaled"`, where the picture is large enough for it. The picture is a painted
carcass with a sensor's noise. The last lines say whether two threads share the work.

    make bench-decoding
"""

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from typing import NamedTuple

import numpy as np
import PIL
import simplejpeg
from PIL import Image

from app.demo.painter import paint
from app.domain import Crop, Geometry, Resize, ResizeShorter, Size, Step
from app.images.decode import decode
from app.images.geometry import Scaling, planned
from app.images.preprocess import preprocess
from app.images.resample import RESAMPLING, cut

PICTURES = {"768 x 574": (768, 574, 81), "4000 x 3000": (4000, 3000, 15)}
"""Width, height, repeats."""
STEPS: dict[str, tuple[Step, ...]] = {
    "shorter side 256 bilinear, centre 224": (ResizeShorter(256, "bilinear"), Crop(Size(224, 224), "center")),
    "373 x 373 nearest, corner 224": (
        Resize(Size(373, 373), "nearest"),
        Crop(Size(224, 224), "bottom_right"),
    ),
}
MAX_PIXELS = 50_000_000


class Cost(NamedTuple):
    """CPU milliseconds."""

    decode: float
    geometry: float


def photograph(width: int, height: int) -> bytes:
    """A JPEG as a camera writes it."""
    scene = Image.fromarray(paint("boar", 1).image).resize((width, height), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(0).normal(0.0, 3.0, (height, width, 1))
    buffer = BytesIO()
    Image.fromarray((np.asarray(scene) + noise).clip(0, 255).astype(np.uint8)).save(
        buffer, "JPEG", quality=90
    )
    return buffer.getvalue()


def by_pillow(data: bytes, steps: Sequence[Step]) -> tuple[np.ndarray, Cost]:
    """The reference."""
    begun = time.process_time()
    with Image.open(BytesIO(data)) as file:
        image = file.convert("RGB")
    decoded = time.process_time()
    for step in steps:
        plan = planned(step, Size(image.height, image.width))
        if isinstance(plan, Scaling):
            image = image.resize((plan.size.width, plan.size.height), RESAMPLING[plan.interpolation])
        else:
            image = cut(image, plan)
    pixels = np.array(image)
    return pixels, Cost(1000 * (decoded - begun), 1000 * (time.process_time() - decoded))


def by_server(geometry: Geometry, data: bytes, steps: tuple[Step, ...]) -> tuple[np.ndarray, Cost]:
    """What a request goes through."""
    begun = time.process_time()
    picture = decode(data, geometry=geometry, max_pixels=MAX_PIXELS, keeps_picture=False)
    decoded = time.process_time()
    pixels = preprocess(picture, steps).pixels
    return pixels, Cost(1000 * (decoded - begun), 1000 * (time.process_time() - decoded))


def measure(name: str, steps: tuple[Step, ...], width: int, height: int, repeats: int) -> None:
    """One block of the table."""
    data = photograph(width, height)
    ways: dict[str, Callable[[], tuple[np.ndarray, Cost]]] = {
        "plain Pillow": partial(by_pillow, data, steps),
        "exact": partial(by_server, Geometry(steps), data, steps),
        "scaled": partial(by_server, Geometry(steps, decode="scaled"), data, steps),
    }
    reference = ways["plain Pillow"]()[0]
    same = {way: np.array_equal(run()[0], reference) for way, run in ways.items()}
    levels = {way: np.abs(run()[0].astype(int) - reference).mean() for way, run in ways.items()}
    if not same["exact"]:
        raise SystemExit("exact decoding is not exact here: the pixels differ from Pillow's")
    costs: dict[str, list[Cost]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, run in ways.items():
            costs[way].append(run()[1])
    print(f"\n{width} x {height}, {len(data) / 1000:,.0f} kB, {name}")
    print(f"  {'':14s}{'decode':>9s}{'geometry':>10s}{'sum, ms':>9s}{'ratio':>7s}   pixels")
    whole = statistics.median(sum(cost) for cost in costs["plain Pillow"])
    for way in ways:
        decoding, geometry = (statistics.median(column) for column in zip(*costs[way], strict=True))
        total = statistics.median(sum(cost) for cost in costs[way])
        pixels = "the same" if same[way] else f"{levels[way]:.2f} levels off on average"
        print(f"  {way:14s}{decoding:9.2f}{geometry:10.2f}{total:9.2f}{total / whole:7.2f}   {pixels}")


def measure_threads() -> None:
    """Pictures a second of one thread and of two: what holds Python's lock does not gain."""
    data, steps = photograph(768, 574), STEPS["shorter side 256 bilinear, centre 224"]
    ways = {
        "plain Pillow": partial(by_pillow, data, steps),
        "exact": partial(by_server, Geometry(steps), data, steps),
    }
    rates: dict[tuple[str, int], list[float]] = {}
    with ThreadPoolExecutor(2) as pool:
        for _ in range(9):
            for way, run in ways.items():
                for threads in (1, 2):
                    begun = time.perf_counter()
                    shares = [
                        pool.submit(lambda run=run, n=40 // threads: [run() for _ in range(n)])
                        for _ in range(threads)
                    ]
                    for share in shares:
                        share.result()
                    rates.setdefault((way, threads), []).append(40 / (time.perf_counter() - begun))
    print("\n768 x 574, pictures a second")
    for way in ways:
        one, two = (statistics.median(rates[way, threads]) for threads in (1, 2))
        print(f"  {way:14s}{one:7.0f} with one thread{two:7.0f} with two{two / one:6.2f} times")


def main() -> None:
    """Measure and print."""
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, Pillow {PIL.__version__}, "
        f"simplejpeg {simplejpeg.__version__}, load {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d')}"
    )
    for name, steps in STEPS.items():
        for width, height, repeats in PICTURES.values():
            measure(name, steps, width, height, repeats)
    measure_threads()


if __name__ == "__main__":
    main()
