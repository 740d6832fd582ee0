"""What every engine promises, whatever runs inside it.

images (B, h, w, 3) uint8 RGB -> run -> logits (B, K) float32, evidence (B, K, h', w') float32

An engine is one network on one device at one precision. It imports nothing of torch here, so that a
server can run converted models without it. Knows no files, queues or class names.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from app.domain import Cells, EvidenceKind, Method, Probe, Probed, Size
from app.engines.memory import gather_into_huge_pages


@dataclass(frozen=True, slots=True)
class EngineOutput:
    """The answers to one batch; arrays of the caller's own."""

    logits: NDArray[np.float32]
    """(B, K)."""
    evidence: NDArray[np.float32]
    """(B, K, h', w') in logit units."""


Run = Callable[[NDArray[np.uint8]], EngineOutput]
"""(B, h, w, 3) uint8 RGB -> its answers."""


class Engine(Protocol):
    """One network on one device."""

    @property
    def runtime(self) -> str:
        """The library that computes: `torch` or `openvino`."""

    @property
    def device(self) -> str:
        """`cpu`, `cuda:0`, ..."""

    @property
    def precision(self) -> str:
        """What the numbers are computed in, such as `float32`."""

    @property
    def input_size(self) -> Size:
        """Of every image, in pixels."""

    @property
    def class_count(self) -> int:
        """K."""

    @property
    def evidence_kind(self) -> EvidenceKind:
        """What the evidence is of the logits."""

    @property
    def evidence_methods(self) -> tuple[Method, ...]:
        """What the evidence is called, up to a constant factor; the first is its own name."""

    @property
    def margin_cells(self) -> float:
        """Cells of the trunk's grid by which the evidence grid lies inside it, on each side."""

    @property
    def target_layer(self) -> str:
        """Whose cells the evidence's cells are."""

    @property
    def cells(self) -> Cells | None:
        """Where they look on the input; None where the head resamples the trunk's grid."""

    @property
    def batches_in_flight(self) -> int:
        """Calls of `run` that are worth making at the same time.

        2 where one is copied while another is computed; more where each takes a part of the cores, and one is to wait
        for whichever is free.
        """

    @property
    def takes_any_thread(self) -> bool:
        """Whether `run` on a thread that never called it costs no more: it has no pool of threads, no state, of its own."""

    @property
    def largest_batch(self) -> int | None:
        """Images that it computes at a time: a larger call takes as long as several of that size; None: any number."""

    @property
    def ways(self) -> tuple[Run, ...]:
        """What a call of `run` may take, each with a graph and buffers of its own, so each is to be warmed and proved.

        A lone call takes the first.
        """

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        """(B, h, w, 3) uint8 RGB -> its answers. Safe from many threads.

        Raises:
            DeviceLost: the device answers no more; no further call can succeed.
        """

    def close(self) -> None:
        """Lets go of the weights; `run` is an error afterwards. May be called twice."""


@dataclass(frozen=True, slots=True)
class ProbeOutput:
    """The answers to one batch of probes."""

    logits: NDArray[np.float32]
    """(B, K)."""
    evidence: NDArray[np.float32]
    """(B, K, h', w') in logit units."""
    answers: tuple[Probed, ...]
    """B of them."""


@runtime_checkable
class ProbingEngine(Engine, Protocol):
    """An engine that can also be asked what its layers say, and can look at pictures of any size."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Those that can be asked, from the picture on; `target_layer` is one of them."""

    @property
    def probe_methods(self) -> tuple[Method, ...]:
        """The maps that a probe can ask for."""

    @property
    def is_prepared(self) -> bool:
        """Whether `probe` and `view` answer at once."""

    def prepare(self) -> None:
        """Loads what they need, which may take seconds; does nothing where it is there. Safe from many threads."""

    def probe(self, images: NDArray[np.uint8], probes: Sequence[Probe]) -> ProbeOutput:
        """(B, h, w, 3) uint8 RGB, a probe each -> their answers. Safe from many threads."""

    def view(self, image: NDArray[np.uint8]) -> EngineOutput:
        """(h, w, 3) uint8 RGB of any size -> its answers, as a batch of one. Safe from many threads.

        Raises:
            InvalidRequest: too small to leave a cell.
        """


PROBE_METHODS: tuple[Method, ...] = ("gradcam", "hirescam", "xgradcam", "gradcam++", "layercam", "eigencam")
"""What a gradient gives, in the order of `app.nets.maps.FORMULAS`, for those who must not import torch."""


TIMING_S = 0.1
"""Spent on timing one size, where it is that quick."""


def warm_up(engine: Engine, batch_sizes: Iterable[int]) -> dict[int, float]:
    """Runs every batch size every way, so that none is slow later, and times a lone call of each once it is warm.

    Libraries choose algorithms and buffers the first time they see a size; djl #901 reports seconds. What they have
    written by then is gathered into huge pages, if a CPU computes with it. The quickest of two to ten runs counts: sizes
    are chosen by their proportions, and one hiccup would spoil a size for good.

    Returns:
        batch size -> seconds for one batch.
    """
    size = engine.input_size
    random = np.random.default_rng(0)  # noise: zeros would take short cuts
    seconds: dict[int, float] = {}
    for batch_size in sorted(set(batch_sizes)):
        images = random.integers(0, 256, (batch_size, size.height, size.width, 3), dtype=np.uint8)
        for way in engine.ways:
            way(images)
        if engine.device == "cpu":
            gather_into_huge_pages()
        runs: list[float] = []
        while len(runs) < 2 or (len(runs) < 10 and sum(runs) < TIMING_S):
            start = time.perf_counter()
            engine.run(images)
            runs.append(time.perf_counter() - start)
        seconds[batch_size] = min(runs)
    return seconds
