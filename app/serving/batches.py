"""One batch of one lane on one engine: entries in, results out.

entries (one lane) -> stacked pixels (B, h, w, 3) -> engine -> a result each, finite or refused

A plain function for a worker's thread. Knows no queue and no HTTP.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain import Probe, Probed
from app.engines.base import Engine, ProbingEngine
from app.serving.line import PLAIN, Lane

Pixels = NDArray[np.uint8]

HEAD_PROBES = Lane("head probes")
LAYER_PROBES = Lane("layer probes", largest=4)
"""A ResNet-50 keeps about 50 MB an image for its backward pass from layer1 (224 x 224, measured at 16 of them)."""
WHOLE = Lane("whole pictures", largest=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """What waits in the queue."""

    pixels: Pixels
    """(h, w, 3), of the model's size unless the lane is `WHOLE`."""
    lane: Lane
    probe: Probe | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What an engine said of one entry: (K,), (K, h', w'), and the answer to its probe."""

    logits: NDArray[np.float32]
    evidence: NDArray[np.float32]
    probed: Probed | None = None


def run_batch(engine: Engine, entries: Sequence[Entry]) -> Sequence[Result]:
    """Entries of one lane, as many results.

    Raises:
        DeviceLost: as `Engine.run`.
        FloatingPointError: an answer is no finite number.
    """
    if entries[0].lane == WHOLE:
        results = [_whole(engine, entry) for entry in entries]
    elif entries[0].lane == PLAIN:
        output = engine.run(_stacked(entries))
        results = [Result(*row) for row in zip(output.logits, output.evidence, strict=True)]
    else:
        results = _probed(engine, entries)
    if not all(_is_finite(result) for result in results):
        raise FloatingPointError("the network answered with NaN or infinity")
    return results


def _whole(engine: Engine, entry: Entry) -> Result:
    assert isinstance(engine, ProbingEngine)  # noqa: S101 - else the plan refused it
    output = engine.view(entry.pixels)
    return Result(output.logits[0], output.evidence[0])


def _probed(engine: Engine, entries: Sequence[Entry]) -> list[Result]:
    assert isinstance(engine, ProbingEngine)  # noqa: S101 - else the plan refused it
    probes = [entry.probe for entry in entries if entry.probe is not None]
    output = engine.probe(_stacked(entries), probes)
    return [Result(*row) for row in zip(output.logits, output.evidence, output.answers, strict=True)]


def _stacked(entries: Sequence[Entry]) -> Pixels:
    """(B, h, w, 3); of a lone one not even a copy."""
    return (
        entries[0].pixels[np.newaxis] if len(entries) == 1 else np.stack([entry.pixels for entry in entries])
    )


def _is_finite(result: Result) -> bool:
    # A sum of float32 in double precision is finite where all of them are; NumPy takes five times as long for a few.
    if not math.isfinite(sum(result.logits.tolist())):
        return False
    if result.probed is None:
        return True
    arrays = list(result.probed.maps)
    if result.probed.channels is not None:
        arrays += [result.probed.channels.values, result.probed.channels.contributions]
    return all(bool(np.isfinite(array).all()) for array in arrays)
