"""A servable on a CUDA device: warmed batch sizes as graphs, in the precision that was asked for.

images (B, h, w, 3) uint8 -> normalised, float32 -> trunk in bfloat16, float16 or float32 -> head, float32
    -> logits (B, K), evidence (B, K, h', w')

Only the trunk is reduced: what the evidence says and what it adds up to is computed in float32. Probes take a gradient,
which is no place to save bits (in float16 a cell's share of it underflows), so their maps are of the float32 trunk.
Pictures are decoded elsewhere, on the CPU: nvJPEG's hardware decoder ignores the stream it is given.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from app.domain import Probe
from app.engines.base import EngineOutput, ProbeOutput
from app.engines.beside import settled
from app.engines.graph_pipeline import SLOTS, GraphPipeline
from app.engines.streams import CudaDevice, Device
from app.engines.torch_engine import TorchEngine
from app.errors import DeviceLost, SettingsInvalid
from app.nets.folding import folded
from app.nets.servable import Servable, noise_images

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

FAULT = re.compile(r"CUDA|CUBLAS|cuDNN|CUDNN", re.ASCII)
"""In the message of a RuntimeError that came from the device's libraries."""

AMPERE = (8, 0)
"""The first compute capability that multiplies bfloat16; before it, torch emulates that, slowly."""


def cuda_precisions(wanted: str, device: str) -> tuple[str, ...]:
    """`auto` or one precision -> those to try, the fastest first.

    Raises:
        SettingsInvalid: no such precision on CUDA.
    """
    if wanted == "auto":
        half = "bfloat16" if torch.cuda.get_device_capability(device) >= AMPERE else "float16"
        return half, "float32"
    if wanted not in DTYPES:
        raise SettingsInvalid(
            f"precision {wanted[:40]!r} is not for CUDA; known there: auto, {', '.join(DTYPES)}"
        )
    return (wanted,)


class CudaEngine(TorchEngine):
    """One servable on one CUDA device; see `app.engines.base.ProbingEngine`."""

    batches_in_flight = SLOTS
    largest_batch: int | None = None

    def __init__(
        self,
        servable: Servable,
        device: str,
        *,
        lock: AbstractContextManager[object],
        precision: str,
        batch_sizes: Sequence[int],
        streams: Device | None = None,
    ) -> None:
        """Takes the servable over, and records a graph for each size.

        Args:
            servable: as `load_servable` returns it.
            device: as `resolve_device` returns it.
            lock: one per device, shared by every engine on it.
            precision: of the trunk; a key of `DTYPES`.
            batch_sizes: those that will be served; others run too, but slower.
            streams: of the device; None: its own. A test without a GPU brings others.

        Raises:
            DeviceLost: the device answers no more.
        """
        super().__init__(servable, device, lock=lock)
        self.precision = precision
        self._dtype = DTYPES[precision]
        self._lost: str | None = None
        self._streams: Device = CudaDevice(device) if streams is None else streams
        with self._faults_told():
            picture = servable.normalised(noise_images(self.input_size, 1).to(device))
            self._trunk: nn.Module | None = reduced(servable.trunk, self._dtype, picture)
            self._pipeline = GraphPipeline(
                self._streams,
                self._recorded,
                batch_sizes=batch_sizes,
                input_size=self.input_size,
                turn=lock,
            )

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        """(B, h, w, 3) uint8 RGB -> logits (B, K), evidence (B, K, h', w'). Safe from many threads.

        Raises:
            DeviceLost: the device answers no more.
        """
        if len(images) not in self._pipeline.sizes:
            with self._faults_told(), self._streams.computing():
                return super().run(images)
        held = self._checked(images)
        with self._faults_told():
            return self._pipeline.run(held)

    def view(self, image: NDArray[np.uint8]) -> EngineOutput:
        """As `TorchEngine.view`; DeviceLost as `run`."""
        with self._faults_told(), self._streams.computing():
            return super().view(image)

    def probe(self, images: NDArray[np.uint8], probes: Sequence[Probe]) -> ProbeOutput:
        """As `TorchEngine.probe`; DeviceLost as `run`.

        The prediction is the one that `run` gives, so that two answers about a picture never disagree.
        """
        output = self.run(images)
        with self._faults_told(), self._streams.computing():
            answers = super().probe(images, settled(probes, output.logits)).answers
        return ProbeOutput(output.logits, output.evidence, answers)

    def close(self) -> None:
        """Gives the weights' memory back once no batch is running.

        At once, not when the garbage collector next comes by: a traced network is a cycle of references.
        """
        self._pipeline.close()
        servable, trunk = self._servable, self._trunk
        super().close()
        self._trunk = None
        for module in (servable, trunk):
            if module is not None:
                empty(module)

    @torch.inference_mode()
    def _recorded(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits, evidence = self._forward(images)
        return logits, evidence.contiguous()  # in the graph, so that it leaves by one plain copy

    def _forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        servable, trunk = self._open(), self._trunk
        assert trunk is not None  # noqa: S101 - let go of after the servable
        features = trunk(servable.normalised(images).to(self._dtype))
        logits, evidence = servable.head(features.float())
        return logits, evidence

    @contextmanager
    def _faults_told(self) -> Iterator[None]:
        """An error after which the device answers no more is DeviceLost; any other is the batch's own.

        Memory that ran out is the batch's own too: it is tried again entry by entry.
        """
        if self._lost is not None:
            raise DeviceLost(self._lost)
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            is_fault = isinstance(error, torch.AcceleratorError) or FAULT.search(str(error))
            if not is_fault or self._streams.answers():
                raise
            self._lost = str(error).partition("\n")[0]
            raise DeviceLost(self._lost) from error


def empty(module: nn.Module) -> None:
    """Give the memory of every number back, whoever still holds the module."""
    for tensor in (*module.parameters(), *module.buffers()):
        tensor.data = tensor.data.new_empty(0)


def reduced(trunk: nn.Module, dtype: torch.dtype, images: Tensor) -> nn.Module:
    """The trunk in another precision, on its own device; itself in float32.

    Its batch norms are folded into the convolutions before them, in float32: each one would read and write every
    activation once more, and its own rounding to 8 or 11 bits would come on top.

    Args:
        trunk: for inference, in float32.
        dtype: to compute in.
        images: (1, 3, h, w) float32, one normalised picture on the trunk's device.
    """
    if dtype == torch.float32:
        return trunk
    half = folded(trunk, images).to(dtype).to(memory_format=torch.channels_last)
    return half.requires_grad_(requires_grad=False)
