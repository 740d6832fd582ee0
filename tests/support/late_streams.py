"""Streams of a device that does not exist: on the CPU, each step as late as order allows.

Nothing runs until somebody waits for an event; then its stream runs up to it, and another stream only as far as an event
of it was waited for. Whoever forgets to order two streams, or reuses a buffer too early, reads what is not yet there or
no longer there.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from app.engines.streams import Compute, Event, Graph


class LateEvent:
    """Reached when its stream has run so far."""

    def __init__(self, stream: "LateStream") -> None:
        self.is_reached = False
        self._stream = stream

    def reach(self) -> None:
        self.is_reached = True

    def wait(self) -> None:
        device = self._stream.device
        device.waiting.release()
        assert device.gate.acquire(timeout=20)
        device.gate.release()
        if device.fault is not None:
            raise device.fault
        self._stream.run_until(self)


class LateStream:
    def __init__(self, device: "LateDevice", name: str) -> None:
        self.device = device
        self.name = name
        self._steps: deque[Callable[[], None]] = deque()

    def copy(self, target: Tensor, source: Tensor) -> None:
        assert target.shape == source.shape
        self._add("copy", lambda: target.copy_(source))

    def replay(self, graph: Graph) -> None:
        assert isinstance(graph, LateGraph)
        self._add("replay", graph.compute)

    def record(self) -> LateEvent:
        event = LateEvent(self)
        self._add("record", event.reach)
        return event

    def wait_for(self, event: Event) -> None:
        assert isinstance(event, LateEvent)
        self._add("wait", lambda: event._stream.run_until(event))  # noqa: SLF001 - of one piece

    def run_until(self, event: LateEvent) -> None:
        with self.device.lock:
            while not event.is_reached:
                self._steps.popleft()()

    def run_all(self) -> None:
        with self.device.lock:
            while self._steps:
                self._steps.popleft()()

    def _add(self, kind: str, step: Callable[[], object]) -> None:
        with self.device.lock:
            self.device.log.append(f"{self.name} {kind}")
            if self.device.refuse == kind:
                self.device.refuse = None
                raise RuntimeError("CUDA error: refused by the test")
            self._steps.append(lambda: (step(), None)[1])


class LateGraph:
    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        logits, evidence = compute()
        self.logits, self.evidence = torch.zeros_like(logits), torch.zeros_like(evidence)

    def compute(self) -> None:
        for kept, new in zip((self.logits, self.evidence), self._compute(), strict=True):
            kept.copy_(new)


class LateDevice:
    """See `app.engines.streams.Device`; `log` has what was asked of it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.log: list[str] = []
        self.refuse: str | None = None
        """The next step of this kind raises."""
        self.fault: RuntimeError | None = None
        """Every wait raises it, and the device answers no more."""
        self.has_fallen = False
        self.gate = threading.Semaphore(1)
        """Waits return while it is open."""
        self.waiting = threading.Semaphore(0)
        """Released by every wait that begins."""
        self.copies = LateStream(self, "copies")
        self.computes = LateStream(self, "computes")

    def host_buffer(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        return torch.empty(tuple(shape), dtype=dtype)

    def device_buffer(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        return torch.zeros(tuple(shape), dtype=dtype)

    def capture(self, compute: Compute) -> LateGraph:
        return LateGraph(compute)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """What torch runs at once comes after what waits in the stream."""
        self.computes.run_all()
        yield

    def answers(self) -> bool:
        return not self.has_fallen
