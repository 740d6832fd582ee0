"""An exported network on the CPU, run by OpenVINO; imports no torch.

images (B, h, w, 3) uint8 -> graph (normalise -> trunk -> head) -> logits (B, K), evidence (B, K, h', w')

One compiled graph with a dynamic batch dimension serves every warmed size: a graph for each would keep the weights once
for each. Models on one device take turns by a lock that they share. Knows nothing of queues or files' meaning.
"""

import ctypes
import logging
import mmap
import sys
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.domain import Cells, EvidenceKind, Method, NetworkFacts, Size
from app.engines.base import EngineOutput
from app.errors import ExportFailed

log = logging.getLogger(__name__)

PRECISION_HINTS: Final = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
"""What is not quantised stays float32: the golden images were held against that."""
PINS_THREADS = False
"""Pinned threads cannot make room for those that decode; bench/cores.py measures both (docs/adr/0007)."""
MADV_DONTNEED: Final = 4


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
    batches_in_flight: Final = 1

    def __init__(self, graph: Path, facts: NetworkFacts, *, precision: str, threads: int, lock: Lock) -> None:
        """Compiles the graph.

        Args:
            graph: the .xml, its .bin beside it.
            facts: of the network.
            precision: a key of `PRECISION_HINTS`.
            threads: of one forward pass.
            lock: one per device, shared by every engine on it.

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
        self._lock = lock
        self._numbers = graph.with_suffix(".bin").resolve()
        compiled = _compiled(graph, precision, threads)
        self.thread_count: int = compiled.get_property("INFERENCE_NUM_THREADS")
        """Of one forward pass, as OpenVINO says it."""
        self._request: Any = compiled.create_infer_request()
        self._is_settled = False

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        """(B, h, w, 3) uint8 RGB -> logits (B, K), evidence (B, K, h', w'). Safe from many threads."""
        height, width = self.input_size.height, self.input_size.width
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (height, width, 3):
            raise ValueError(f"expected (B, {height}, {width}, 3) uint8, got {images.shape} {images.dtype}")
        with self._lock:
            if self._request is None:
                raise RuntimeError("the engine is closed")
            # The input is only read; the outputs are copied, as the request writes into its own again.
            answers = self._request.infer(
                [np.ascontiguousarray(images)], share_inputs=True, share_outputs=False
            )
            output = EngineOutput(logits=answers[0], evidence=answers[1])
            if not self._is_settled:
                # The first pass lays the weights out for this CPU; the file's own are not read again.
                self._is_settled = True
                release_file_pages(self._numbers)
        return output

    def close(self) -> None:
        """Lets go of the weights once no batch is running."""
        with self._lock:
            self._request = None


def _compiled(graph: Path, precision: str, threads: int) -> Any:
    """An openvino.CompiledModel."""
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": PRECISION_HINTS[precision],
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": PINS_THREADS,
    }
    try:
        core = openvino().Core()
        return core.compile_model(core.read_model(graph), "CPU", options)
    except RuntimeError as error:  # what all of OpenVINO's own exceptions arrive as
        log.debug("OpenVINO refused %s", graph.name, exc_info=True)
        raise ExportFailed(
            f"OpenVINO cannot run `{graph.name}`: {str(error).splitlines()[-1][:200]}"
        ) from error


def release_file_pages(path: Path) -> None:
    """Give the memory back in which this process maps a file that it only reads.

    OpenVINO keeps the .bin mapped beside the copy that it computes with: 90 MB of a ResNet-50's 400. The pages of an
    unchanged file are read again should anybody touch them, so nothing is lost. Does nothing where there is no /proc.
    """
    try:
        maps = Path("/proc/self/maps").read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    libc = ctypes.CDLL(None)
    for line in maps:
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] == str(path) and "w" not in fields[1]:
            start, end = (int(part, 16) for part in fields[0].split("-"))
            assert start % mmap.PAGESIZE == 0  # noqa: S101 - the kernel's own table
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_DONTNEED)
