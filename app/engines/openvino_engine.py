"""An exported network on the CPU, run by OpenVINO; imports no torch.

images (B, h, w, 3) uint8 -> graph (normalise -> trunk -> head) -> logits (B, K), evidence (B, K, h', w')

One compiled graph with a dynamic batch dimension serves every warmed size: a graph for each would keep the weights once
for each. A lone call computes on all cores; two at once on half of them each, by a second graph of two streams: threads
of one pass wait for each other at every layer, and whatever takes a core from one of them holds up the other
(docs/adr/0010). A third waits inside OpenVINO for the half that ends first (0014). Models on one device take turns. Knows nothing of queues or files' meaning.
"""

import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.domain import Cells, EvidenceKind, Method, NetworkFacts, Size
from app.engines.base import EngineOutput, Run
from app.engines.memory import release_file_pages
from app.engines.turns import Turns
from app.errors import ExportFailed

log = logging.getLogger(__name__)

PRECISION_HINTS: Final = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
"""What is not quantised stays float32: the golden images were held against that."""
PINS_THREADS = False
"""Pinned threads cannot make room for those that decode; bench/cores.py measures both (docs/adr/0007)."""
HALVED: Final = frozenset({"bfloat16", "int8"})
"""Precisions with the second graph. In float32 it would take 200 MB more of a ResNet-50 and give 6 % (docs/adr/0010)."""
HALVES: Final = 2
PREPARED: Final = 1
"""Calls that wait inside OpenVINO for a half, which takes them up without Python's interpreter (docs/adr/0014)."""
HALVED_BATCH: Final = 4
"""Images that such an engine computes at a time: 8 would be 2 % quicker and keep 40 MB more between layers (docs/adr/0010)."""


@cache
def openvino() -> Any:
    """The library, which reports its import to its maker where `openvino_telemetry` is there: here it never is.

    A module that is None cannot be imported, and OpenVINO then takes its own stub.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino  # noqa: PLC0415

    return openvino


@cache
def cpu_computes_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 itself (AVX-512 BF16 or AMX); elsewhere it would only be simulated."""
    return "BF16" in openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoEngine:
    """One exported network on the CPU; see `app.engines.base.Engine`."""

    runtime: Final = "openvino"
    device: Final = "cpu"
    takes_any_thread: Final = True

    def __init__(
        self, graph: Path, facts: NetworkFacts, *, precision: str, threads: int, turns: Turns
    ) -> None:
        """Compiles the graph.

        Args:
            graph: the .xml, its .bin beside it.
            facts: of the network.
            precision: a key of `PRECISION_HINTS`.
            threads: of one forward pass.
            turns: of the device, shared by every engine on it.

        Raises:
            ExportFailed: OpenVINO cannot read or compile it.
        """
        self.precision = precision
        self.facts = facts
        self.input_size: Size = facts.input_size
        self.class_count: int = facts.class_count
        self.evidence_kind: EvidenceKind = facts.evidence_kind
        self.evidence_methods: tuple[Method, ...] = facts.evidence_methods
        self.margin_cells: float = facts.margin_cells
        self.target_layer: str = facts.target_layer
        self.cells: Cells | None = facts.cells
        self._turns = turns
        self._numbers = graph.with_suffix(".bin").resolve()
        compiled = _compiled(graph, precision, threads, streams=1)
        self.thread_count: int = compiled.get_property("INFERENCE_NUM_THREADS")
        """Of one forward pass, as OpenVINO says it."""
        self._whole: Any = compiled.create_infer_request()
        self._halves: tuple[Any, ...] = ()
        if precision in HALVED and self.thread_count % HALVES == 0:
            divided = _compiled(graph, precision, self.thread_count, streams=HALVES)
            self._halves = tuple(divided.create_infer_request() for _ in range(HALVES + PREPARED))
        self.largest_batch: int | None = HALVED_BATCH if self._halves else None
        self._free: SimpleQueue[Any] = SimpleQueue()
        """Requests for a half that nobody uses."""
        for half in self._halves:
            self._free.put(half)
        self.batches_in_flight: int = max(1, len(self._halves))
        self._is_closed = False

    @property
    def ways(self) -> tuple[Run, ...]:
        """On all cores, and on each half of them."""
        halves = range(HALVES if self._halves else 0)
        return (self._run_whole, *(partial(self._run_halves, number) for number in halves))

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        """(B, h, w, 3) uint8 RGB -> logits (B, K), evidence (B, K, h', w'). Safe from many threads."""
        with self._turns.beside(self, self.batches_in_flight - 1) as is_first:
            if is_first:
                return self._computed(self._whole, images)
            half = self._free.get_nowait()  # no more than there are requests are let in
            try:
                return self._computed(half, images)
            finally:
                self._free.put(half)

    def close(self) -> None:
        """Lets go of the weights once no batch is running."""
        with self._turns:
            self._is_closed = True
            self._whole, self._halves, self._free = None, (), SimpleQueue()

    def _run_whole(self, images: NDArray[np.uint8]) -> EngineOutput:
        with self._turns:
            output = self._computed(self._whole, images)
        release_file_pages(self._numbers)  # its first pass has laid the weights out for this CPU
        return output

    def _run_halves(self, number: int, images: NDArray[np.uint8]) -> EngineOutput:
        """All at once, since OpenVINO gives a call to whichever stream is free; the answer of one."""
        with self._turns, ThreadPoolExecutor(len(self._halves) or 1) as pool:
            self._check_open()
            outputs = list(pool.map(lambda half: self._computed(half, images), self._halves))
        release_file_pages(self._numbers)
        return outputs[number]

    def _check_open(self) -> None:
        if self._is_closed:
            raise RuntimeError("the engine is closed")

    def _computed(self, request: Any, images: NDArray[np.uint8]) -> EngineOutput:
        height, width = self.input_size.height, self.input_size.width
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (height, width, 3):
            raise ValueError(f"expected (B, {height}, {width}, 3) uint8, got {images.shape} {images.dtype}")
        self._check_open()
        # OpenVINO takes no array that cannot be written, though it only reads it.
        images, at_once = np.require(images, requirements=("C", "W")), self.largest_batch or len(images)
        parts = [
            _inferred(request, images[start : start + at_once])
            for start in range(0, max(1, len(images)), max(1, at_once))
        ]
        if len(parts) == 1:
            return parts[0]
        return EngineOutput(
            logits=np.concatenate([part.logits for part in parts]),
            evidence=np.concatenate([part.evidence for part in parts]),
        )


def _inferred(request: Any, images: NDArray[np.uint8]) -> EngineOutput:
    """By tensors: from arrays to a dictionary of arrays, OpenVINO's Python takes 0.1 ms longer, with the interpreter in hand.

    The outputs are copied, as the request writes into its own again.
    """
    request.set_input_tensor(openvino().Tensor(images, shared_memory=True))
    request.infer(share_outputs=True)
    logits, evidence = (request.get_output_tensor(number).data.copy() for number in range(2))
    return EngineOutput(logits=logits, evidence=evidence)


def _compiled(graph: Path, precision: str, threads: int, *, streams: int) -> Any:
    """An openvino.CompiledModel, its threads divided among so many passes at a time."""
    options = {
        "NUM_STREAMS": streams,
        "INFERENCE_PRECISION_HINT": PRECISION_HINTS[precision],
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": PINS_THREADS,
    }
    try:
        core = openvino().Core()
        return core.compile_model(core.read_model(graph), "CPU", options)
    except RuntimeError as error:  # what all of OpenVINO's own exceptions arrive as
        log.debug("OpenVINO refused %s", graph.name, exc_info=True)
        raise ExportFailed(f"OpenVINO cannot run `{graph.name}`: {reason_of(error)}") from error


def reason_of(error: Exception) -> str:
    """The last of the lines that OpenVINO has for an error; those before name places in its source."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else type(error).__name__
