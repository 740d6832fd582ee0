"""Measurements as a machine might have given them."""

from collections.abc import Mapping

from app.tuning.configurations import Configuration, Precision, Runtime
from app.tuning.measured import Here, Measured, PictureCost, Row, Timing


def timing(wall_s: float, cpu_s: float | None = None) -> Timing:
    """Three equal repeats."""
    return Timing((wall_s,) * 3, (wall_s if cpu_s is None else cpu_s,) * 3)


def row(
    runtime: Runtime = "openvino",
    precision: Precision = "float32",
    threads: int | None = 2,
    *,
    seconds: Mapping[int, float],
    cpu_per_wall: float | None = None,
    difference: float | None = 1e-6,
    refusal: str | None = None,
) -> Row:
    """A configuration whose batches take so long; `cpu_per_wall`: cores that it keeps busy, default its threads."""
    busy = (threads or 0.1) if cpu_per_wall is None else cpu_per_wall
    timings = {size: timing(wall, wall * busy) for size, wall in seconds.items()}
    return Row(Configuration(runtime, precision, threads), refusal, difference, timings)


def measured(*rows: Row, cores: int = 2, picture_s: float = 0.006, is_quantised: bool = False) -> Measured:
    """On a CPU, or on a GPU where the first row has no threads."""
    device = "cuda:0" if rows[0].configuration.threads is None else "cpu"
    return Measured(
        name="line",
        version=3,
        is_quantised=is_quantised,
        image_bytes=224 * 224 * 3,
        here=Here(device, "A processor", cores, cores, 0.5, 0.5, {"openvino": "2026.2.0"}, "2026-11-25"),
        rows=rows,
        pictures=PictureCost(4, timing(picture_s * 2 / 3), timing(picture_s / 3)),
        seconds=60.0,
    )
