"""One proved model: its manifest's preprocessing, its queue, an engine on each of its devices.

bytes -> Picture (decode) -> Preprocessed -> queue -> logits (K,), evidence (K, h', w'), a probe's answer

Lanes wait in one queue: plain images, images with a probe (a gradient costs more), and whole pictures, each of a size
of its own and therefore alone. Whichever device is idle takes the next batch. decode and preprocess are plain functions
for a thread pool; infer is awaited on the event loop. Knows no HTTP.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.bundles.comparison import GoldenReport
from app.bundles.repository import Bundle
from app.domain import ClassScore, Probe, Size
from app.engines.base import Engine, ProbingEngine
from app.errors import ImageTooLarge, NotReady, Unavailable
from app.explain.plan import Abilities, Plan, Question, planned
from app.images.decode import Picture, decode
from app.images.preprocess import Preprocessed, preprocess
from app.images.whole import whole_size, whole_steps
from app.serving.abilities import abilities_of
from app.serving.batcher import Batcher
from app.serving.batches import HEAD_PROBES, LAYER_PROBES, WHOLE, Entry, Pixels, Result, run_batch
from app.serving.capacity import Hold
from app.serving.expecting import Expecting
from app.serving.inference import Inference, inference_of
from app.serving.latency import capped
from app.serving.line import PLAIN, Lane, Waiting
from app.serving.outages import count_out_of_service, fault_of, living_names, outages_of
from app.serving.worker import Runner

PREPARING_RETRY_S = 5.0
"""torch's import and a ResNet-50 took 3 to 8 s on two shared cores."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was measured when the model proved itself on this machine."""

    sum_rule_error: float
    """max |logit - (bias + mean evidence)| / max |logit|."""
    golden: GoldenReport | None
    latency_s: Mapping[int, float]
    """Seconds of one forward pass per warmed batch size."""
    warnings: tuple[str, ...]


class ProvedEngine(NamedTuple):
    """One device's engine and what was measured of it."""

    engine: Engine
    proof: Proof


class Deployment:
    """One model that serves.

    Args:
        bundle: where it comes from.
        engine: owned, as all of them; closed with the deployment. Says what the model is for all of them.
        proof: of this engine.
        others: the same network on further devices.
        fallback: the same network on the CPU; answers only when every other device is lost.
        batch_sizes: that may run; each device's engine was warmed for them, capped at what it computes at a time.
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
        others: Sequence[ProvedEngine] = (),
        fallback: ProvedEngine | None = None,
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
        self._geometry = bundle.geometry  # made anew at each asking
        self._temperature = bundle.manifest.calibration.temperature
        self._max_image_pixels = max_image_pixels
        self._max_view_pixels = max_view_pixels
        self._worker_stall_s = worker_stall_s
        self.batch_sizes = tuple(capped(batch_sizes, engine.largest_batch))
        self._preparing: asyncio.Future[None] | None = None
        proved = [ProvedEngine(engine, proof), *others]
        self._engines = [one.engine for one in (*proved, *([] if fallback is None else [fallback]))]
        self._batcher = Batcher[Entry, Result](
            bundle.name,
            [_runner(one) for one in proved],
            fallback=None if fallback is None else _runner(fallback),
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

    @property
    def departures(self) -> int:
        """As Batcher.departures."""
        return self._batcher.departures

    @property
    def device(self) -> str:
        """Those that answer now, such as `cuda:0, cuda:1`."""
        return living_names(self._batcher.states())

    @property
    def out_of_service(self) -> int:
        """Devices that were lost or hang."""
        return count_out_of_service(self._batcher.states(), stall_s=self._worker_stall_s)

    def fault(self) -> str | None:
        """Why this model may not drive a gate just now; None when it may. Load does not change it."""
        if self._batcher.answers_within(self._worker_stall_s):  # asked for every request
            return None
        return fault_of(self._batcher.states(), stall_s=self._worker_stall_s)

    def outages(self) -> tuple[str, ...]:
        """What is out of service although the model still answers."""
        return outages_of(self._batcher.states(), stall_s=self._worker_stall_s)

    @property
    def abilities(self) -> Abilities:
        """What this model can tell of a picture."""
        return abilities_of(self.bundle, self.engine)

    def plan(self, question: Question) -> Plan:
        """How to answer it; errors as `app.explain.plan.planned`."""
        return planned(question, self.abilities)

    def reserve(self, deadline: float | None) -> Hold:
        """Take a place in the queue before the body is read; errors as Batcher.reserve."""
        return self._batcher.reserve(deadline)

    def refusal(self, deadline: float, *, expected: int) -> Unavailable | None:
        """As Batcher.refusal, for plain images."""
        return self._batcher.refusal(deadline, expected=expected)

    def has_work_for(self, seconds: float) -> bool:
        """As Batcher.has_work_for."""
        return self._batcher.has_work_for(seconds)

    def decode(self, data: bytes, *, keeps_picture: bool) -> Picture:
        """As the manifest reads pictures (orientation, colour under alpha); errors as `app.images.decode.decode`."""
        return decode(
            data,
            geometry=self._geometry,
            max_pixels=self._max_image_pixels,
            keeps_picture=keeps_picture,
        )

    def preprocess(self, picture: Picture) -> Preprocessed:
        """The manifest's steps."""
        return preprocess(picture, self._geometry.steps)

    def preprocess_whole(self, picture: Picture) -> Preprocessed:
        """The manifest's steps without its crops, at the same scale.

        Raises:
            ImageTooLarge: that would be more pixels than a view may have.
        """
        steps, size = self._geometry.steps, Size(picture.height, picture.width)
        whole = whole_size(steps, size)
        if whole.height * whole.width > self._max_view_pixels:
            raise ImageTooLarge(
                f"view: the whole picture would be {whole.width} x {whole.height} pixels for the network, and "
                f"{self._max_view_pixels:,} are allowed; send a smaller picture, leave view away, or raise "
                "LINESIDE_MAX_VIEW_MEGAPIXELS"
            )
        return preprocess(picture, whole_steps(steps, size))

    async def prepare(self, plan: Plan, deadline: float) -> None:
        """Have what the plan needs beyond a prediction; at once where the plan needs nothing, or it is there.

        Raises:
            NotReady: it is still being loaded when the deadline comes; the loading goes on.
        """
        engine = self.engine
        needs = plan.probe is not None or plan.view == "full"
        if not needs or not isinstance(engine, ProbingEngine) or engine.is_prepared:
            return
        if self._preparing is None or self._preparing.done():
            self._preparing = asyncio.ensure_future(asyncio.to_thread(engine.prepare))
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                await asyncio.shield(self._preparing)
        except TimeoutError:
            raise NotReady(
                "the first question about layers, gradients or the whole picture loads torch beside the engine, which takes "
                "some seconds: try again, allow a longer deadline_ms, or set LINESIDE_LAYER_MAPS=at_start",
                retry_after_s=PREPARING_RETRY_S,
            ) from None

    async def infer(
        self, pixels: Pixels, deadline: float, place: Hold | None = None, *, probe: Probe | None = None
    ) -> Inference:
        """Queue one image of the model's size; the place and errors as Batcher.submit."""
        lane = PLAIN if probe is None else self._lane(probe)
        return await self._answered(Entry(pixels, lane, probe), deadline, place)

    def expecting(
        self, deadline: float, place: Hold, *, probe: Probe | None = None
    ) -> Expecting[Entry, Result]:
        """Of an image of the model's size, which is yet to be made; the place and errors as Batcher.expecting."""
        lane, size = PLAIN if probe is None else self._lane(probe), self.engine.input_size
        return self._batcher.expecting(
            byte_count=size.height * size.width * 3, deadline=deadline, lane=lane, place=place
        )

    def put(
        self, waiting: Waiting[Entry, Result], pixels: Pixels, probe: Probe | None, *, lends: bool
    ) -> Callable[[], None] | None:
        """Queue the image that was expected, with that probe; from any thread. The rest as Batcher.put."""
        return self._batcher.put(waiting, Entry(pixels, waiting.lane, probe), lends=lends)

    async def infer_whole(self, pixels: Pixels, deadline: float) -> Inference:
        """Queue one image of any size, which runs alone; errors as Batcher.submit."""
        return await self._answered(Entry(pixels, WHOLE), deadline, None)

    def scores(self, logits: NDArray[np.float32]) -> tuple[ClassScore, ...]:
        """All classes, the most probable first; equal logits in class order. The logits stay as they are."""
        classes, values = self.classes, logits.tolist()
        probabilities = self._probabilities(values)
        order = sorted(
            range(len(values)), key=values.__getitem__, reverse=True
        )  # which keeps equal ones in order
        return tuple([ClassScore(classes[i], i, probabilities[i], values[i]) for i in order])

    def probability(self, logits: NDArray[np.float32], class_index: int) -> float:
        """Of one class."""
        return self._probabilities(logits.tolist())[class_index]

    async def close(self, *, timeout_s: float) -> bool:
        """Finish what was accepted; whether all of it ended in time."""
        ended = await self._batcher.close(timeout_s=timeout_s)
        if ended:
            for engine in self._engines:
                engine.close()
        return ended

    def _probabilities(self, logits: Sequence[float]) -> list[float]:
        """softmax(logits / temperature). Of a few classes NumPy would take several times as long, for every answer."""
        top = max(logits)
        exponents = [math.exp((logit - top) / self._temperature) for logit in logits]
        total = sum(exponents)
        return [exponent / total for exponent in exponents]

    def _lane(self, probe: Probe) -> Lane:
        """A gradient through the head alone is nearly free; one through the trunk costs a forward pass."""
        layers = {*probe.layers, *(() if probe.channels_of is None else (probe.channels_of,))}
        return HEAD_PROBES if layers <= {self.engine.target_layer} else LAYER_PROBES

    async def _answered(self, entry: Entry, deadline: float, place: Hold | None) -> Inference:
        return inference_of(
            await self._batcher.submit(
                entry, byte_count=entry.pixels.nbytes, deadline=deadline, lane=entry.lane, place=place
            )
        )


def _runner(proved: ProvedEngine) -> Runner[Entry, Result]:
    engine, proof = proved
    return Runner(
        engine.device,
        partial(run_batch, engine),
        latency_s=proof.latency_s,
        in_flight=engine.batches_in_flight,
        takes_any_thread=engine.takes_any_thread,
        largest=engine.largest_batch,
    )
