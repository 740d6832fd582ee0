"""A fast engine, and beside it one that can be asked about its layers, which is loaded when somebody asks.

run -> the fast engine alone;  probe, view -> the prober (torch), loaded once

The prediction is always the fast engine's: a probe's logits and evidence come from it, and its target is the class that it
predicts; only maps and channels are the prober's, of the same weights in float32. So `/predict` and `/explain` never
disagree, and a server that is only asked for predictions never imports torch.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.domain import Cells, EvidenceKind, Method, NetworkFacts, Probe, Size
from app.engines.base import PROBE_METHODS, Engine, EngineOutput, ProbeOutput, ProbingEngine, Run


class EngineWithProber:
    """See `app.engines.base.ProbingEngine`."""

    def __init__(self, engine: Engine, facts: NetworkFacts, load: Callable[[], ProbingEngine]) -> None:
        """Takes the engine over.

        Args:
            engine: answers every prediction.
            facts: of its network.
            load: builds the prober of the same bundle; called at most once, on the thread that asks first.
        """
        self._engine = engine
        self._load = load
        self._loading = threading.Lock()
        self._prober: ProbingEngine | None = None
        self._is_closed = False
        self.runtime: str = engine.runtime
        self.device: str = engine.device
        self.precision: str = engine.precision
        self.batches_in_flight: int = engine.batches_in_flight
        self.takes_any_thread: bool = engine.takes_any_thread
        self.largest_batch: int | None = engine.largest_batch
        self.input_size: Size = engine.input_size
        self.class_count: int = engine.class_count
        self.evidence_kind: EvidenceKind = engine.evidence_kind
        self.evidence_methods: tuple[Method, ...] = facts.evidence_methods
        self.margin_cells: float = engine.margin_cells
        self.target_layer: str = engine.target_layer
        self.cells: Cells | None = engine.cells
        self.layers: tuple[str, ...] = facts.layers
        self.probe_methods: tuple[Method, ...] = PROBE_METHODS

    @property
    def ways(self) -> tuple[Run, ...]:
        """The fast engine's."""
        return self._engine.ways

    @property
    def is_prepared(self) -> bool:
        """Whether the prober is there."""
        return self._prober is not None

    def prepare(self) -> None:
        """Loads the prober, once; takes seconds. Safe from many threads."""
        self._prepared()

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        """(B, h, w, 3) uint8 RGB -> logits (B, K), evidence (B, K, h', w'). Safe from many threads."""
        return self._engine.run(images)

    def probe(self, images: NDArray[np.uint8], probes: Sequence[Probe]) -> ProbeOutput:
        """(B, h, w, 3) uint8 RGB, a probe each -> their answers. Safe from many threads."""
        output = self._engine.run(images)
        answers = self._prepared().probe(images, settled(probes, output.logits)).answers
        return ProbeOutput(output.logits, output.evidence, answers)

    def view(self, image: NDArray[np.uint8]) -> EngineOutput:
        """(h, w, 3) uint8 RGB of any size -> its answers in float32, as a batch of one.

        Raises:
            InvalidRequest: too small to leave a cell.
        """
        return self._prepared().view(image)

    def close(self) -> None:
        """Lets go of both."""
        with self._loading:
            self._is_closed = True
            if self._prober is not None:
                self._prober.close()
        self._engine.close()

    def _prepared(self) -> ProbingEngine:
        with self._loading:
            if self._is_closed:
                raise RuntimeError("the engine is closed")
            if self._prober is None:
                self._prober = self._load()
            return self._prober


def settled(probes: Sequence[Probe], logits: NDArray[np.float32]) -> list[Probe]:
    """The same probes, (B,); where one asks for the predicted class, for the one that these logits (B, K) predict."""
    return [
        replace(probe, target=replace(probe.target, class_index=int(row.argmax())))
        if probe.target.class_index is None
        else probe
        for probe, row in zip(probes, logits, strict=True)
    ]
