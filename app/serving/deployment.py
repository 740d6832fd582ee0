"""One proved model: its manifest's preprocessing, its queue, its engine.

bytes -> Picture (decode) -> Preprocessed -> queue -> logits (K,), evidence (K, h', w'), a probe's answer

Three lanes wait in one queue: plain images, images with a probe (a gradient costs more), and whole pictures, each of
a size of its own and therefore alone. decode and preprocess are plain functions for a thread pool; infer is awaited on the event loop. Knows no HTTP.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.bundles.comparison import GoldenReport
from app.bundles.repository import Bundle
from app.domain import ClassScore, Probe, Probed, Size
from app.engines.base import Engine, ProbingEngine, evidence_methods
from app.errors import ImageTooLarge, UnknownClass
from app.explain.maps import softmax
from app.explain.plan import Abilities, Plan, Question, planned
from app.images.decode import Picture, decode
from app.images.preprocess import Preprocessed, preprocess
from app.images.whole import whole_size, whole_steps
from app.serving.batcher import PLAIN, Answer, Batcher, Lane
from app.serving.capacity import Hold

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
class _Result:
    logits: NDArray[np.float32]
    evidence: NDArray[np.float32]
    probed: Probed | None = None


@dataclass(frozen=True, slots=True)
class Inference:
    """What the engine said of one image."""

    logits: NDArray[np.float32]
    """(K,)"""
    evidence: NDArray[np.float32]
    """(K, h', w') in logit units; h' = w' = 0 where the head gives none."""
    batch_size: int
    queue_s: float
    inference_s: float
    probed: Probed | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What was measured when the model proved itself on this machine."""

    sum_rule_error: float
    """max |logit - (bias + mean evidence)| / max |logit|."""
    golden: GoldenReport | None
    latency_s: Mapping[int, float]
    """Seconds of one forward pass per warmed batch size."""
    warnings: tuple[str, ...]


class Deployment:
    """One model that serves.

    Args:
        bundle: where it comes from.
        engine: owned; closed with the deployment.
        proof: from the self-tests.
        batch_sizes: the warmed sizes.
        max_entries: bound of its queue.
        max_bytes: bound of its queue.
        max_image_pixels: larger pictures are refused.
        max_view_pixels: larger whole pictures, at the scale of the model's steps, are refused.
        worker_stall_s: a longer batch means that the device hangs.
        on_batch: told every batch's size.
    """

    def __init__(
        self,
        bundle: Bundle,
        engine: Engine,
        proof: Proof,
        *,
        batch_sizes: Sequence[int],
        max_entries: int,
        max_bytes: int,
        max_image_pixels: int,
        max_view_pixels: int,
        worker_stall_s: float,
        on_batch: Callable[[int], None],
    ) -> None:
        self.bundle = bundle
        self.engine = engine
        self.proof = proof
        self.identity = bundle.identity
        self._max_image_pixels = max_image_pixels
        self._max_view_pixels = max_view_pixels
        self._worker_stall_s = worker_stall_s
        self.batch_sizes = tuple(batch_sizes)
        self._batcher = Batcher[Entry, _Result](
            bundle.name,
            self._run_batch,
            batch_sizes=batch_sizes,
            max_entries=max_entries,
            max_bytes=max_bytes,
            on_batch=on_batch,
        )
        self._batcher.start()

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the logits."""
        return self.bundle.classes

    @property
    def entry_count(self) -> int:
        """Entries that wait or run."""
        return self._batcher.entry_count

    def fault(self) -> str | None:
        """Why this model may not drive a gate just now; None when it may. Load does not change it."""
        if not self._batcher.is_alive:
            return "its worker is not running; restart the server"
        busy_s = self._batcher.busy_s()
        if busy_s > self._worker_stall_s:
            return f"its device has not answered for {busy_s:.0f} s; check the device and restart the server"
        return None

    @property
    def abilities(self) -> Abilities:
        """What this model can tell of a picture."""
        engine = self.engine
        prober = engine if isinstance(engine, ProbingEngine) else None
        return Abilities(
            evidence_kind=engine.evidence_kind,
            evidence_methods=evidence_methods(engine),
            probe_methods=() if prober is None else prober.probe_methods,
            layers=(engine.target_layer,) if prober is None else prober.layers,
            target_layer=engine.target_layer,
            class_count=engine.class_count,
            temperature=self.bundle.manifest.calibration.temperature,
            class_index=self.class_index,
        )

    def plan(self, question: Question) -> Plan:
        """How to answer it; errors as `app.explain.plan.planned`."""
        return planned(question, self.abilities)

    def reserve(self, deadline: float) -> Hold:
        """Take a place in the queue before the body is read; errors as Batcher.reserve."""
        return self._batcher.reserve(deadline)

    def decode(self, data: bytes) -> Picture:
        """As the manifest reads pictures (orientation, colour under alpha)."""
        return decode(data, geometry=self.bundle.geometry, max_pixels=self._max_image_pixels)

    def preprocess(self, picture: Picture) -> Preprocessed:
        """The manifest's steps."""
        return preprocess(picture, self.bundle.geometry.steps)

    def preprocess_whole(self, picture: Picture) -> Preprocessed:
        """The manifest's steps without its crops, at the same scale.

        Raises:
            ImageTooLarge: that would be more pixels than a view may have.
        """
        steps, size = self.bundle.geometry.steps, Size(picture.height, picture.width)
        whole = whole_size(steps, size)
        if whole.height * whole.width > self._max_view_pixels:
            raise ImageTooLarge(
                f"view: the whole picture would be {whole.width} x {whole.height} pixels for the network, and "
                f"{self._max_view_pixels:,} are allowed; send a smaller picture, leave view away, or raise "
                "LINESIDE_MAX_VIEW_MEGAPIXELS"
            )
        return preprocess(picture, whole_steps(steps, size))

    async def infer(
        self, pixels: Pixels, deadline: float, place: Hold | None = None, *, probe: Probe | None = None
    ) -> Inference:
        """Queue one image of the model's size; errors as Batcher.submit."""
        lane = PLAIN if probe is None else self._lane(probe)
        return await self._answered(Entry(pixels, lane, probe), deadline, place)

    async def infer_whole(self, pixels: Pixels, deadline: float) -> Inference:
        """Queue one image of any size, which runs alone; errors as Batcher.submit."""
        return await self._answered(Entry(pixels, WHOLE), deadline, None)

    def scores(self, logits: NDArray[np.float32]) -> tuple[ClassScore, ...]:
        """All classes, the most probable first; equal logits in class order. The logits stay as they are."""
        probabilities = softmax(logits / self.bundle.manifest.calibration.temperature)
        order = np.argsort(-logits, kind="stable")
        return tuple(
            ClassScore(self.classes[i], int(i), float(probabilities[i]), float(logits[i])) for i in order
        )

    def probability(self, logits: NDArray[np.float32], class_index: int) -> float:
        """Of one class."""
        return float(softmax(logits / self.bundle.manifest.calibration.temperature)[class_index])

    def class_index(self, target: str) -> int:
        """Index of a class given by name, or by its index in digits.

        Raises:
            UnknownClass: with the names that exist.
        """
        if target in self.classes:
            return self.classes.index(target)
        if target.isascii() and target.isdigit() and int(target) < len(self.classes):
            return int(target)
        raise UnknownClass(f"no class {target!r} in {self.identity.name}; it knows {', '.join(self.classes)}")

    async def close(self, *, timeout_s: float) -> bool:
        """Finish what was accepted; whether all of it ended in time."""
        ended = await self._batcher.close(timeout_s=timeout_s)
        if ended:
            self.engine.close()
        return ended

    def _lane(self, probe: Probe) -> Lane:
        """A gradient through the head alone is nearly free; one through the trunk costs a forward pass."""
        layers = {*probe.layers, *(() if probe.channels_of is None else (probe.channels_of,))}
        return HEAD_PROBES if layers <= {self.engine.target_layer} else LAYER_PROBES

    async def _answered(self, entry: Entry, deadline: float, place: Hold | None) -> Inference:
        answer: Answer[_Result] = await self._batcher.submit(
            entry, byte_count=entry.pixels.nbytes, deadline=deadline, lane=entry.lane, place=place
        )
        result = answer.result
        return Inference(
            result.logits, result.evidence, answer.batch_size, answer.queue_s, answer.run_s, result.probed
        )

    def _run_batch(self, entries: Sequence[Entry]) -> Sequence[_Result]:
        """Entries of one lane."""
        if entries[0].lane == WHOLE:
            results = [self._whole(entry) for entry in entries]
        elif entries[0].lane == PLAIN:
            output = self.engine.run(np.stack([entry.pixels for entry in entries]))
            results = [_Result(*row) for row in zip(output.logits, output.evidence, strict=True)]
        else:
            results = self._probed(entries)
        if not all(_is_finite(result) for result in results):
            raise FloatingPointError("the network answered with NaN or infinity")
        return results

    def _whole(self, entry: Entry) -> _Result:
        assert isinstance(self.engine, ProbingEngine)  # noqa: S101 - else the plan refused it
        output = self.engine.view(entry.pixels)
        return _Result(output.logits[0], output.evidence[0])

    def _probed(self, entries: Sequence[Entry]) -> list[_Result]:
        assert isinstance(self.engine, ProbingEngine)  # noqa: S101 - else the plan refused it
        probes = [entry.probe for entry in entries if entry.probe is not None]
        output = self.engine.probe(np.stack([entry.pixels for entry in entries]), probes)
        return [_Result(*row) for row in zip(output.logits, output.evidence, output.answers, strict=True)]


def _is_finite(result: _Result) -> bool:
    arrays = [result.logits]
    if result.probed is not None:
        arrays += result.probed.maps
        if result.probed.channels is not None:
            arrays += [result.probed.channels.values, result.probed.channels.contributions]
    return all(bool(np.isfinite(array).all()) for array in arrays)
