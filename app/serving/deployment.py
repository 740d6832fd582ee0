"""One proved model: its manifest's preprocessing, its queue, its engine.

bytes -> Picture (decode) -> Preprocessed -> queue -> logits (K,), evidence (K, h', w')

decode and preprocess are plain functions for a thread pool; infer is awaited on the event loop. Knows no HTTP.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.bundles.comparison import GoldenReport
from app.bundles.repository import Bundle
from app.domain import ClassScore
from app.engines.base import Engine
from app.errors import UnknownClass
from app.explain.maps import softmax
from app.images.decode import Picture, decode
from app.images.preprocess import Preprocessed, preprocess
from app.serving.batcher import Batcher
from app.serving.capacity import Hold

Pixels = NDArray[np.uint8]


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
        worker_stall_s: float,
        on_batch: Callable[[int], None],
    ) -> None:
        self.bundle = bundle
        self.engine = engine
        self.proof = proof
        self.identity = bundle.identity
        self._max_image_pixels = max_image_pixels
        self._worker_stall_s = worker_stall_s
        self.batch_sizes = tuple(batch_sizes)
        self._batcher = Batcher[Pixels, tuple[NDArray[np.float32], NDArray[np.float32]]](
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

    def reserve(self, deadline: float) -> Hold:
        """Take a place in the queue before the body is read; errors as Batcher.reserve."""
        return self._batcher.reserve(deadline)

    def decode(self, data: bytes) -> Picture:
        """As the manifest reads pictures (orientation, colour under alpha)."""
        return decode(data, geometry=self.bundle.geometry, max_pixels=self._max_image_pixels)

    def preprocess(self, picture: Picture) -> Preprocessed:
        """The manifest's steps."""
        return preprocess(picture, self.bundle.geometry.steps)

    async def infer(self, pixels: Pixels, deadline: float, place: Hold | None = None) -> Inference:
        """Queue one image of the model's size; errors as Batcher.submit."""
        answer = await self._batcher.submit(pixels, byte_count=pixels.nbytes, deadline=deadline, place=place)
        logits, evidence = answer.result
        return Inference(logits, evidence, answer.batch_size, answer.queue_s, answer.run_s)

    def scores(self, logits: NDArray[np.float32]) -> tuple[ClassScore, ...]:
        """All classes, the most probable first; equal logits in class order."""
        probabilities = softmax(logits)
        order = np.argsort(-logits, kind="stable")
        return tuple(
            ClassScore(self.classes[i], int(i), float(probabilities[i]), float(logits[i])) for i in order
        )

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

    def _run_batch(
        self, images: Sequence[Pixels]
    ) -> Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        output = self.engine.run(np.stack(images))
        if not np.isfinite(output.logits).all():
            raise FloatingPointError("the network answered with NaN or infinity")
        return list(zip(output.logits, output.evidence, strict=True))
