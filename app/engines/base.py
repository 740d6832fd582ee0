"""What every engine promises, whatever runs inside it.

images (B, h, w, 3) uint8 RGB -> run -> logits (B, K) float32, evidence (B, K, h', w') float32

An engine is one network on one device at one precision. It imports nothing of torch here, so that a
server can run converted models without it. Knows no files, queues or class names.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from app.domain import Cells, EvidenceKind, Method, Probe, Probed, Size


@dataclass(frozen=True, slots=True)
class EngineOutput:
    """The answers to one batch; arrays of the caller's own."""

    logits: NDArray[np.float32]
    """(B, K)."""
    evidence: NDArray[np.float32]
    """(B, K, h', w') in logit units."""


class Engine(Protocol):
    """One network on one device."""

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
    def margin_cells(self) -> float:
        """Cells of the trunk's grid by which the evidence grid lies inside it, on each side."""

    @property
    def target_layer(self) -> str:
        """Whose cells the evidence's cells are."""

    @property
    def cells(self) -> Cells | None:
        """Where they look on the input; None where the head resamples the trunk's grid."""

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        """(B, h, w, 3) uint8 RGB -> its answers. Safe from many threads."""

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
    def evidence_methods(self) -> tuple[Method, ...]:
        """What the evidence is called, up to a constant factor; the first is its own name."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Those that can be asked, from the picture on; `target_layer` is one of them."""

    @property
    def probe_methods(self) -> tuple[Method, ...]:
        """The maps that a probe can ask for."""

    def probe(self, images: NDArray[np.uint8], probes: Sequence[Probe]) -> ProbeOutput:
        """(B, h, w, 3) uint8 RGB, a probe each -> their answers. Safe from many threads."""

    def view(self, image: NDArray[np.uint8]) -> EngineOutput:
        """(h, w, 3) uint8 RGB of any size -> its answers, as a batch of one. Safe from many threads.

        Raises:
            InvalidRequest: too small to leave a cell.
        """


EVIDENCE_METHODS: dict[EvidenceKind, tuple[Method, ...]] = {
    "exact": ("cam", "gradcam", "hirescam", "xgradcam"),
    "gradient": ("cam",),
    "none": (),
}
"""For engines that do not say; a gradient's own name is known to its head alone."""


def evidence_methods(engine: Engine) -> tuple[Method, ...]:
    """What an engine's evidence is called; the first is its own name."""
    return (
        engine.evidence_methods
        if isinstance(engine, ProbingEngine)
        else EVIDENCE_METHODS[engine.evidence_kind]
    )


def warm_up(engine: Engine, batch_sizes: Iterable[int]) -> dict[int, float]:
    """Runs every batch size, so that none is slow later, and times each once it is warm.

    Libraries choose algorithms and buffers the first time they see a size; djl #901 reports seconds.

    Returns:
        batch size -> seconds for one batch.
    """
    size = engine.input_size
    random = np.random.default_rng(0)  # noise: zeros would take short cuts
    seconds: dict[int, float] = {}
    for batch_size in sorted(set(batch_sizes)):
        images = random.integers(0, 256, (batch_size, size.height, size.width, 3), dtype=np.uint8)
        engine.run(images)
        start = time.perf_counter()
        engine.run(images)
        seconds[batch_size] = time.perf_counter() - start
    return seconds
