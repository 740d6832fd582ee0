"""A request's deadline, on the event loop and on an image thread."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from app.errors import DeadlineExceeded
from app.serving.request import Ticket

ResultT = TypeVar("ResultT")


def timed(ticket: Ticket, work: Callable[[], ResultT]) -> Callable[[], tuple[ResultT, float]]:
    """For an image thread: its result and the seconds until it began, unless the deadline passed meanwhile."""
    queued = time.monotonic()

    def run() -> tuple[ResultT, float]:
        begun = time.monotonic()
        if begun > ticket.deadline:
            raise DeadlineExceeded("the deadline passed before a thread was free for the picture")
        return work(), begun - queued

    return run


@asynccontextmanager
async def within_deadline(ticket: Ticket) -> AsyncIterator[None]:
    """What is not done in time is dropped.

    Raises:
        DeadlineExceeded: so it was.
    """
    try:
        async with asyncio.timeout(max(0.0, ticket.deadline - time.monotonic())):
            yield
    except TimeoutError:
        raise DeadlineExceeded("no answer within the deadline; the work was dropped") from None
