"""From measurements to settings; pure.

rows -> [golden images hold] -> sizes that pay -> images/s of the whole server -> the best, then threads and queue

A server's images/s are bounded twice: by its engine, which runs one batch at a time, and by its cores, which engine,
decoding and geometry share: cores / (engine + decode + geometry CPU seconds of an image). What the event loop needs
besides is not in it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from app.tuning.configurations import Configuration, Precision, Runtime
from app.tuning.measured import Measured, Row

LEAST_GAIN = 1.05
"""A size must raise images/s this much to be warmed, and to make requests wait for each other."""
ALIKE = 1.05
"""Configurations whose images/s differ by less are told apart by their latency: a second measurement may swap them."""
BUSIEST_IMAGE_THREAD = 0.5
"""Of the time; at half, a picture waits on average half of what its own decoding takes (M/D/1 queue)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The server's other settings that bound what is chosen."""

    deadline_s: float
    """From a request's first byte to its reply."""
    max_requests: int
    """Inside the server."""
    max_queue_bytes: int
    """Of images that wait for one model."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to set, and what to expect of it."""

    configuration: Configuration
    batch_sizes: tuple[int, ...]
    image_threads: int
    max_queue_entries: int
    engine_setting: Literal["auto"] | Runtime
    """What makes the server take this engine: by itself where it would anyway, so that other bundles may differ."""
    precision_setting: Literal["auto"] | Precision
    """Likewise."""
    batch_size: int
    """The one at which the figures below hold."""
    lone_s: float
    """A forward pass of one image."""
    engine_per_s: float
    """The engine alone."""
    server_per_s: float
    """With decoding and geometry on the same cores."""
    queue_is_capped: bool
    """Whether max_requests or the queue's memory holds less than could be answered in time."""


def may_serve(row: Row) -> bool:
    """Whether its golden images hold; where there are none, nothing shows what a lower precision changes."""
    if row.refusal is not None:
        return False
    return row.golden_difference is not None or row.configuration.precision == "float32"


def paying_sizes(per_s: Mapping[int, float]) -> tuple[int, ...]:
    """1, and each larger size that raises images/s by `LEAST_GAIN` over the last one kept.

    Args:
        per_s: batch size -> images/s; 1 is in.
    """
    kept = [1]
    for size in sorted(set(per_s) - {1}):
        if per_s[size] >= LEAST_GAIN * per_s[kept[-1]]:
            kept.append(size)
    return tuple(kept)


def useful_sizes(row: Row, measured: Measured, limits: Limits) -> tuple[int, ...]:
    """Those that pay, of those that can be answered in time behind another batch of their size."""
    left_s = limits.deadline_s - measured.pictures.wall_s
    in_time = {
        size: row.per_s(size)
        for size, timing in row.timings.items()
        if size == 1 or 2 * timing.median_s <= left_s
    }
    return paying_sizes(in_time)


def server_per_s(row: Row, batch_size: int, measured: Measured) -> float:
    """Images/s of a whole server that runs batches of this size."""
    cpu_s = row.cpu_s_per_image(batch_size) + measured.pictures.cpu_s
    return min(row.per_s(batch_size), measured.here.cores / cpu_s)


def best_size(row: Row, measured: Measured, limits: Limits) -> int:
    """Of the useful ones, that with the most images/s of the whole server."""
    return max(useful_sizes(row, measured, limits), key=lambda size: server_per_s(row, size, measured))


def choose(measured: Measured, limits: Limits) -> Recommendation | None:
    """The configuration with the most images/s of the whole server, and what goes with it.

    Of those that are alike the one that answers a lone image soonest. None where none may serve.
    """
    rates = {
        row.configuration: server_per_s(row, best_size(row, measured, limits), measured)
        for row in measured.rows
        if may_serve(row)
    }
    if not rates:
        return None
    alike = [row for row in measured.rows if rates.get(row.configuration, 0.0) * ALIKE >= max(rates.values())]
    row = min(alike, key=lambda row: row.timings[1].median_s)
    size = best_size(row, measured, limits)
    rate = rates[row.configuration]
    sizes = useful_sizes(row, measured, limits)
    entries, is_capped = _queue(rate, max(sizes), measured, limits)
    return Recommendation(
        configuration=row.configuration,
        batch_sizes=sizes,
        image_threads=_image_threads(rate, measured),
        max_queue_entries=entries,
        engine_setting=_engine_setting(row.configuration),
        precision_setting=_precision_setting(row.configuration, measured),
        batch_size=size,
        lone_s=row.timings[1].median_s,
        engine_per_s=row.per_s(size),
        server_per_s=rate,
        queue_is_capped=is_capped,
    )


def _image_threads(rate: float, measured: Measured) -> int:
    """So many that none is busier than `BUSIEST_IMAGE_THREAD`, and no more than cores."""
    wanted = math.ceil(rate * measured.pictures.wall_s / BUSIEST_IMAGE_THREAD)
    return max(1, min(wanted, measured.here.cores))


def _queue(rate: float, largest_batch: int, measured: Measured, limits: Limits) -> tuple[int, bool]:
    """Entries that are answered within the deadline when the last of them comes, and whether others bound it.

    At least the largest batch, which would never run otherwise.
    """
    in_time = math.floor(rate * max(0.0, limits.deadline_s - measured.pictures.wall_s))
    others = min(limits.max_requests, limits.max_queue_bytes // measured.image_bytes)
    return max(largest_batch, min(in_time, others)), others < in_time


def _engine_setting(chosen: Configuration) -> Literal["auto"] | Runtime:
    """`auto` takes OpenVINO on the CPU and torch on a GPU, and falls back where a network has no OpenVINO form."""
    own = "openvino" if chosen.threads is not None else "torch"
    return "auto" if chosen.runtime == own else chosen.runtime


def _precision_setting(chosen: Configuration, measured: Measured) -> Literal["auto"] | Precision:
    """`auto` takes int8 where the bundle has it, else bfloat16 where the CPU has it and its golden images hold.

    Named outright, a precision refuses every bundle of the server that does not have it.
    """
    if chosen.runtime == "torch":
        return "auto" if chosen.threads is not None else chosen.precision
    has_bfloat16 = any(
        row.configuration.runtime == "openvino"
        and row.configuration.precision == "bfloat16"
        and may_serve(row)
        for row in measured.rows
    )
    own = "int8" if measured.is_quantised else "bfloat16" if has_bfloat16 else "float32"
    return "auto" if chosen.precision == own else chosen.precision
