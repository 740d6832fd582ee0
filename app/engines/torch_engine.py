"""A servable on a torch device, in float32.

images (B, h, w, 3) uint8 -> [pinned copy -> device] -> servable -> NumPy arrays on the host

Models on one device take turns by a lock that they share: two of them at once would make torch's
threads fight over the cores, and share one GPU no faster. Knows nothing of queues.
"""

import re
from collections.abc import Sequence
from threading import Lock
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.domain import Cells, EvidenceKind, Method, Probe, Size
from app.engines.base import EngineOutput, ProbeOutput
from app.errors import InvalidRequest, SettingsInvalid
from app.nets.maps import FORMULAS
from app.nets.probing import probed
from app.nets.servable import Servable


def resolve_device(name: str) -> str:
    """`auto`, `cpu`, `cuda` or `cuda:N` -> `cpu` or `cuda:N`, a device that is there.

    Raises:
        SettingsInvalid: no such device here; the message says which there are.
    """
    wanted = name.strip().lower()
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cpu" or (wanted == "auto" and not count):
        return "cpu"
    if wanted in {"auto", "cuda"}:
        wanted = "cuda:0"
    match = re.fullmatch(r"cuda:(\d{1,3})", wanted, re.ASCII)
    if match is None:
        raise SettingsInvalid(f"unknown device {name[:40]!r}; known: auto, cpu, cuda, cuda:0, cuda:1, ...")
    if int(match[1]) < count:
        return f"cuda:{int(match[1])}"
    if count:
        raise SettingsInvalid(f"there is no device {wanted}; this machine has cuda:0 to cuda:{count - 1}")
    build = "torch sees no CUDA device (is the driver there, and the container started with its GPUs?)"
    if torch.version.cuda is None:
        build = "this torch was built without CUDA"
    raise SettingsInvalid(f"there is no device {wanted}: {build}; set the device to cpu or auto")


class TorchEngine:
    """One servable on one device; see `app.engines.base.Engine`."""

    precision: Final = "float32"

    def __init__(self, servable: Servable, device: str, *, lock: Lock) -> None:
        """Takes the servable over: its weights move to the device.

        Args:
            servable: in eval mode, as `load_servable` returns it.
            device: as `resolve_device` returns it.
            lock: one per device, shared by every engine on it.
        """
        if servable.training:
            raise ValueError("a servable in training mode would answer differently each time")
        spec = servable.spec
        self.device = device
        self.input_size: Size = spec.input_size
        self.class_count: int = spec.class_count
        self.evidence_kind: EvidenceKind = servable.evidence_kind
        self.margin_cells: float = servable.margin_cells
        self.target_layer: str = servable.target_layer
        self.cells: Cells | None = servable.cells
        self.layers: tuple[str, ...] = servable.layers
        self.evidence_methods: tuple[Method, ...] = servable.head.evidence_methods
        self.probe_methods: tuple[Method, ...] = tuple(FORMULAS)
        self._device = torch.device(device)
        self._lock = lock
        self._staging: Tensor | None = None
        if self._device.type == "cuda":
            # TF32 keeps 10 bits, and which layers use it depends on the batch size: the same carcass
            # would be answered with other digits. Process-wide, and nobody here wants it otherwise.
            torch.backends.cuda.matmul.fp32_precision = "ieee"
            torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
        # The batch norms stay apart: folded into the convolutions, 5 % is gained on the CPU, and logits
        # move by up to 1.4e-5 of the largest (resnext50_32x4d at 64 pixels).
        self._servable: Servable | None = servable.to(self._device).to(memory_format=torch.channels_last)

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        """(B, h, w, 3) uint8 RGB -> logits (B, K), evidence (B, K, h', w'). Safe from many threads."""
        held = self._checked(images)
        with self._lock, torch.inference_mode():
            return self._run(held)

    def view(self, image: NDArray[np.uint8]) -> EngineOutput:
        """(h, w, 3) uint8 RGB of any size -> its answers, as a batch of one. Safe from many threads.

        Raises:
            InvalidRequest: too small to leave a cell.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"expected (h, w, 3) uint8, got {image.shape} {image.dtype}")
        with self._lock, torch.inference_mode():
            servable = self._open()
            least = servable.least_size
            if image.shape[0] < least.height or image.shape[1] < least.width:
                raise InvalidRequest(
                    f"the whole picture becomes {image.shape[1]} x {image.shape[0]} pixels, too few for "
                    f"{servable.spec.architecture}, which needs {least.width} x {least.height}; leave view away"
                )
            return self._run(_torchable(image[np.newaxis]))

    def probe(self, images: NDArray[np.uint8], probes: Sequence[Probe]) -> ProbeOutput:
        """(B, h, w, 3) uint8 RGB, a probe each -> their answers. Safe from many threads."""
        held = self._checked(images)
        with self._lock:
            logits, evidence, answers = probed(self._open(), self._on_device(held), probes)
            return ProbeOutput(
                logits.cpu().numpy(), evidence.cpu().contiguous().numpy(), answers=tuple(answers)
            )

    def close(self) -> None:
        """Lets go of the weights once no batch is running."""
        with self._lock:
            self._servable = None
            self._staging = None

    def _checked(self, images: NDArray[np.uint8]) -> Tensor:
        height, width = self.input_size.height, self.input_size.width
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (height, width, 3):
            raise ValueError(f"expected (B, {height}, {width}, 3) uint8, got {images.shape} {images.dtype}")
        return _torchable(images)

    def _open(self) -> Servable:
        if self._servable is None:
            raise RuntimeError("the engine is closed")
        return self._servable

    def _run(self, images: Tensor) -> EngineOutput:
        logits, evidence = self._open()(self._on_device(images))
        # On CUDA, .cpu() waits for the device; from there on the staging copy is free again.
        return EngineOutput(logits=logits.cpu().numpy(), evidence=evidence.cpu().contiguous().numpy())

    def _on_device(self, images: Tensor) -> Tensor:
        if self._device.type == "cpu":
            return images
        count = images.shape[0]
        if images.shape[1:3] != (self.input_size.height, self.input_size.width):
            return images.to(self._device)  # the whole of a picture, now and then
        if self._staging is None or self._staging.shape[0] < count:
            self._staging = torch.empty(images.shape, dtype=torch.uint8, pin_memory=True)
        staged = self._staging[:count]
        staged.copy_(images)
        return staged.to(self._device, non_blocking=True)


def _torchable(images: NDArray[np.uint8]) -> Tensor:
    # torch shares the array's memory, and warns of arrays that may not be written to.
    return torch.from_numpy(np.require(images, requirements=["C_CONTIGUOUS", "WRITEABLE"]))


def use_threads(count: int | None) -> None:
    """Threads of one forward pass on the CPU, for the whole process; None leaves torch's own choice."""
    if count is not None:
        torch.set_num_threads(count)
