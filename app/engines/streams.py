"""What a device does for the graph pipeline: streams, events, graphs, memory; and CUDA's own.

A stream runs what it was given in order and lets the caller go on at once; an event marks a place in it; a graph is a
recorded computation on fixed buffers. The protocols are the seam: on a machine without a GPU, tests put streams in their
place that run everything as late as they may.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from threading import Lock
from typing import Protocol

import torch
from torch import Tensor

log = logging.getLogger(__name__)

Compute = Callable[[], tuple[Tensor, Tensor]]
"""Reads a fixed buffer, returns logits and evidence."""

WARM_RUNS = 3
"""Before a capture: libraries choose algorithms and allocate, which a graph may not do."""

_CAPTURE = Lock()
"""One capture at a time: emptying the allocator's cache and trying out algorithms concern the whole process."""


class Event(Protocol):
    """A place in a stream."""

    def wait(self) -> None:
        """Until everything before it has run. Raises what the device has to say."""


class Graph(Protocol):
    """A recorded computation and the buffers that it writes."""

    @property
    def logits(self) -> Tensor:
        """(B, K), overwritten by every replay."""

    @property
    def evidence(self) -> Tensor:
        """(B, K, h', w'), overwritten by every replay."""


class Stream(Protocol):
    """An ordered row of work; the calls return before it is done."""

    def copy(self, target: Tensor, source: Tensor) -> None:
        """Target <- source."""

    def replay(self, graph: Graph) -> None:
        """Run a graph."""

    def record(self) -> Event:
        """Mark this place."""

    def wait_for(self, event: Event) -> None:
        """What comes after this waits for the event, on the device."""


class Device(Protocol):
    """One device."""

    @property
    def copies(self) -> Stream:
        """For uploads."""

    @property
    def computes(self) -> Stream:
        """For everything else."""

    def host_buffer(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Memory of the host that the device can copy from and to by itself."""

    def device_buffer(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Memory of the device."""

    def capture(self, compute: Compute) -> Graph:
        """Record a computation on the computing stream, after running it until nothing is new in it."""

    def computing(self) -> AbstractContextManager[None]:
        """Within it, torch's calls go to the computing stream."""

    def answers(self) -> bool:
        """Whether it still does; asked after an error. A failed CUDA context fails every later call."""


class _CudaGraph:
    def __init__(self, graph: torch.cuda.CUDAGraph, outputs: tuple[Tensor, Tensor]) -> None:
        self.graph = graph
        self.logits, self.evidence = outputs


class _CudaEvent:
    def __init__(self, stream: torch.cuda.Stream) -> None:
        # Blocking: the thread sleeps instead of spinning on a core that decodes pictures.
        self.event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        self.event.record(stream)

    def wait(self) -> None:
        self.event.synchronize()


class _CudaStream:
    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def copy(self, target: Tensor, source: Tensor) -> None:
        with torch.cuda.stream(self.stream):
            target.copy_(source, non_blocking=True)

    def replay(self, graph: Graph) -> None:
        assert isinstance(graph, _CudaGraph)  # noqa: S101 - captured here
        with torch.cuda.stream(self.stream):
            graph.graph.replay()

    def record(self) -> _CudaEvent:
        return _CudaEvent(self.stream)

    def wait_for(self, event: Event) -> None:
        assert isinstance(event, _CudaEvent)  # noqa: S101 - recorded here
        self.stream.wait_event(event.event)


class CudaDevice:
    """A CUDA device; see `Device`."""

    def __init__(self, name: str) -> None:
        self._device = torch.device(name)
        self.copies = _CudaStream(self._device)
        self.computes = _CudaStream(self._device)
        # Graphs of one engine run one after the other, so they may share what they need in between.
        self._pool = torch.cuda.graph_pool_handle()

    def host_buffer(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Pinned."""
        # Pinning is a call to the thread's current device, and opens a context where there is none.
        with torch.cuda.device(self._device):
            return torch.empty(tuple(shape), dtype=dtype, pin_memory=True)

    def device_buffer(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Zeroed, on the computing stream, whose memory it stays."""
        with self.computing():
            return torch.zeros(tuple(shape), dtype=dtype, device=self._device)

    def capture(self, compute: Compute) -> _CudaGraph:
        """See `Device`. Errors of other threads' calls do not spoil it: only this thread is watched."""
        with _CAPTURE, self.computing(), _trying_algorithms():
            torch.cuda.synchronize()  # the weights came by another stream
            for _ in range(WARM_RUNS):
                compute()
            self.computes.stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(
                graph, pool=self._pool, stream=self.computes.stream, capture_error_mode="thread_local"
            ):
                outputs = compute()
            return _CudaGraph(graph, outputs)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """See `Device`."""
        with torch.cuda.device(self._device), torch.cuda.stream(self.computes.stream):
            yield

    def answers(self) -> bool:
        """See `Device`."""
        try:
            torch.cuda.synchronize(self._device)
        except RuntimeError as error:
            log.warning("%s does not answer: %s", self._device, error)
            return False
        return True


@contextmanager
def _trying_algorithms() -> Iterator[None]:
    """CuDNN measures its algorithms instead of guessing; within a capture's shapes only, since each new shape costs."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
