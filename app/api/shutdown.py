"""SIGTERM: not ready at once, a grace in which requests are still answered, then the server's own shutdown.

uvicorn installs its handlers before the lifespan starts; here they are wrapped, so that this works under
`lineside serve` and under `uvicorn app.api.app:create_app --factory` alike.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)


@contextmanager
def graceful_signals(begin_drain: Callable[[], None], *, grace_s: float) -> Iterator[None]:
    """Wrap the present handlers of SIGTERM and SIGINT while the block runs; call inside the event loop.

    The first SIGTERM calls `begin_drain` and hands on after the grace. SIGINT, a person at the terminal,
    and any second signal hand on at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals; a test's server runs elsewhere
        return
    loop = asyncio.get_running_loop()
    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    is_draining = False

    def hand_on(number: int, frame: FrameType | None) -> None:
        handler = previous[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal is_draining
        loop.call_soon_threadsafe(begin_drain)
        if number == signal.SIGTERM and not is_draining:
            log.info("SIGTERM: not ready from now on, still answering for %g s", grace_s)
            loop.call_soon_threadsafe(loop.call_later, grace_s, hand_on, number, None)
        else:
            hand_on(number, frame)
        is_draining = True

    for number in previous:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
