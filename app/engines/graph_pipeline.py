"""Batches of warmed sizes as recorded graphs, two under way at a time.

images (B, h, w, 3) uint8 -> pinned buffer -> [copying stream] -> device buffer
    -> [computing stream] graph's input -> graph -> pinned buffers -> arrays of the caller's own

A batch holds one of two slots (its buffers) from its first byte to its last, so while one is computed the next is
uploaded, and nothing is overwritten that is still read. Each stream is in order: a graph's input and outputs need no
second copy, and what a failed batch left in a stream comes before the next one of its slot. Knows no networks and no
CUDA, only `streams.Device`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from queue import SimpleQueue

import torch
from torch import Tensor

from app.domain import Size
from app.engines.base import EngineOutput
from app.engines.streams import Device, Graph

SLOTS = 2
"""One is computed, one is copied; a third would only wait."""


class _Sized:
    """A graph and its input."""

    def __init__(
        self, device: Device, forward: Callable[[Tensor], tuple[Tensor, Tensor]], shape: Sequence[int]
    ):
        self.images = device.device_buffer(shape, torch.uint8)
        self.graph: Graph = device.capture(lambda: forward(self.images))


class _Slot:
    """The buffers of one batch under way, for the largest size."""

    def __init__(self, device: Device, images: Tensor, graph: Graph) -> None:
        self.host_images = device.host_buffer(images.shape, torch.uint8)
        self.images = device.device_buffer(images.shape, torch.uint8)
        self.logits = device.host_buffer(graph.logits.shape, graph.logits.dtype)
        self.evidence = device.host_buffer(graph.evidence.shape, graph.evidence.dtype)


class GraphPipeline:
    """Runs batches of warmed sizes on one device.

    Args:
        device: its streams and memory.
        forward: (B, h, w, 3) uint8 -> logits (B, K), evidence (B, K, h', w'), both float32, on the device.
        batch_sizes: the sizes to record.
        input_size: of every image.
        turn: held while work is handed to the device, so that models on one device take turns.
    """

    def __init__(
        self,
        device: Device,
        forward: Callable[[Tensor], tuple[Tensor, Tensor]],
        *,
        batch_sizes: Sequence[int],
        input_size: Size,
        turn: AbstractContextManager[object],
    ) -> None:
        self._device = device
        self._turn = turn
        # The largest first: the smaller ones then live in the memory that it needs in between.
        self._sized = {
            size: _Sized(device, forward, (size, input_size.height, input_size.width, 3))
            for size in sorted(set(batch_sizes), reverse=True)
        }
        largest = self._sized[max(self._sized)]
        self._free: SimpleQueue[_Slot | None] = SimpleQueue()  # None: closed
        for _ in range(SLOTS):
            self._free.put(_Slot(device, largest.images, largest.graph))
        device.computes.record().wait()  # the buffers' zeros must not come after the first upload

    @property
    def sizes(self) -> frozenset[int]:
        """Those that were recorded."""
        return frozenset(self._sized)

    def run(self, images: Tensor) -> EngineOutput:
        """(B, h, w, 3) uint8 on the host, B recorded -> its answers. Safe from many threads."""
        count = images.shape[0]
        device = self._device
        with self._slot() as slot:
            sized = self._sized[count]
            slot.host_images[:count].copy_(images)
            device.copies.copy(slot.images[:count], slot.host_images[:count])
            uploaded = device.copies.record()
            with self._turn:
                device.computes.wait_for(uploaded)
                device.computes.copy(sized.images, slot.images[:count])
                device.computes.replay(sized.graph)
                device.computes.copy(slot.logits[:count], sized.graph.logits)
                device.computes.copy(slot.evidence[:count], sized.graph.evidence)
                answered = device.computes.record()
            answered.wait()
            return EngineOutput(
                logits=slot.logits[:count].numpy().copy(), evidence=slot.evidence[:count].numpy().copy()
            )

    def close(self) -> None:
        """Lets go of graphs and buffers once nothing is under way; `run` is an error afterwards. May be called twice."""
        for _ in range(SLOTS):
            if self._free.get() is None:
                break
        else:
            self._come_to_rest()
        self._sized.clear()
        self._free.put(None)

    def _come_to_rest(self) -> None:
        """A failed batch may have left work that still uses the buffers; a lost device has none."""
        for stream in (self._device.copies, self._device.computes):
            with suppress(RuntimeError):
                stream.record().wait()

    @contextmanager
    def _slot(self) -> Iterator[_Slot]:
        slot = self._free.get()
        if slot is None:
            self._free.put(None)  # for the next one that waits
            raise RuntimeError("the engine is closed")
        try:
            yield slot
        finally:
            self._free.put(slot)
