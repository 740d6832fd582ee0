"""A servable on a torch device, in float32, one call after the other.

images (B, h, w, 3) uint8 -> device -> servable -> NumPy arrays on the host

It serves on the CPU; on CUDA it trains and measures, and `cuda_engine` serves.

Models on one device take turns by a lock that they share: two of them at once would make torch's
threads fight over the cores, and share one GPU no faster. Knows nothing of queues.
"""

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.domain import Cells, EvidenceKind, Method, Probe, Size
from app.engines.base import EngineOutput, ProbeOutput, Run
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


def resolve_devices(names: str) -> tuple[str, ...]:
    """As `resolve_device`, of one or more with commas between, such as `cuda:0,cuda:1`.

    Raises:
        SettingsInvalid: no such device here, one that is named twice, or the CPU beside others.
    """
    devices = tuple(resolve_device(name) for name in names.split(","))
    if len(set(devices)) < len(devices):
        raise SettingsInvalid(f"the devices {names[:80]!r} name {', '.join(devices)}: each once, please")
    if "cpu" in devices and len(devices) > 1:
        raise SettingsInvalid(
            "cpu cannot stand beside other devices: it would take batches that a GPU answers sooner; name the GPUs "
            "alone, and the CPU is their fallback"
        )
    return devices


class TorchEngine:
    """One servable on one device; see `app.engines.base.Engine`."""

    runtime: Final = "torch"
    is_prepared: Final = True
    precision: str = "float32"
    batches_in_flight: int = 1
    takes_any_thread: bool = False
    """OpenMP keeps a pool for each thread that calls it."""
    largest_batch: int | None = None

    def __init__(self, servable: Servable, device: str, *, lock: AbstractContextManager[object]) -> None:
        """Takes the servable over: its weights move to the device.

        Args:
            servable: in eval mode, as `load_servable` returns it.
            device: as `resolve_device` returns it.
            lock: one per device, shared by every engine on it.
        """
        if servable.training:
            raise ValueError("a servable in training mode would answer differently each time")
        self.device = device
        self.input_size: Size = servable.spec.input_size
        self.class_count: int = servable.spec.class_count
        self.evidence_kind: EvidenceKind = servable.evidence_kind
        self.margin_cells: float = servable.margin_cells
        self.target_layer: str = servable.target_layer
        self.cells: Cells | None = servable.cells
        self.layers: tuple[str, ...] = servable.layers
        self.evidence_methods: tuple[Method, ...] = servable.head.evidence_methods
        self.probe_methods: tuple[Method, ...] = tuple(FORMULAS)
        self._device = torch.device(device)
        self._lock = lock
        if self._device.type == "cuda":
            use_full_float32()
        # The batch norms stay apart: folded into the convolutions, 5 % is gained on the CPU, and logits
        # move by up to 1.4e-5 of the largest (resnext50_32x4d at 64 pixels).
        self._servable: Servable | None = servable.to(self._device).to(memory_format=torch.channels_last)

    @property
    def ways(self) -> tuple[Run, ...]:
        """One."""
        return (self.run,)

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
            logits, evidence, answers = probed(self._open(), held.to(self._device), probes)
            return ProbeOutput(
                logits.cpu().numpy(), evidence.cpu().contiguous().numpy(), answers=tuple(answers)
            )

    def prepare(self) -> None:
        """Everything is there."""

    def close(self) -> None:
        """Lets go of the weights once no batch is running."""
        with self._lock:
            self._servable = None

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
        logits, evidence = self._forward(images.to(self._device))
        return EngineOutput(logits=logits.cpu().numpy(), evidence=evidence.cpu().contiguous().numpy())

    def _forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, h, w, 3) uint8 on the device -> logits (B, K), evidence (B, K, h', w'), float32."""
        logits, evidence = self._open()(images)
        return logits, evidence


def _torchable(images: NDArray[np.uint8]) -> Tensor:
    # torch shares the array's memory, and warns of arrays that may not be written to.
    return torch.from_numpy(np.require(images, requirements=["C_CONTIGUOUS", "WRITEABLE"]))


def use_full_float32() -> None:
    """No TF32 on CUDA, for the whole process.

    It keeps 10 bits, and which layers use it depends on the batch size: the same carcass would be answered with other
    digits. By the flags of old: where one of the newer ones was set (`fp32_precision`), reading an old one is an error, in
    torch 2.11 as in 2.15, and torch.export and torch.jit.trace do read them.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def use_threads(count: int | None) -> None:
    """Threads of one forward pass on the CPU, for the whole process; None leaves torch's own choice."""
    if count is not None:
        torch.set_num_threads(count)
