"""Work for image threads that goes on until it is let go, and models that have enough of it or not."""

import asyncio
import threading
from dataclasses import dataclass, field

from app.serving.image_threads import ImageThreads


@dataclass(eq=False)
class Model:
    """Has work enough, or not."""

    is_supplied: bool

    def has_work_for(self, _seconds: float) -> bool:
        return self.is_supplied


@dataclass
class Work:
    """Goes on until it is let go; says when it began."""

    begun: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> str:
        self.begun.set()
        assert self.may_end.wait(20)
        return threading.current_thread().name


def begin(threads: ImageThreads, work: Work, model: Model | None = None) -> "asyncio.Task[str]":
    return asyncio.create_task(threads.run(work, consumer=model))
