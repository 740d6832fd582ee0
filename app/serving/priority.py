"""Who waits when there are more threads than cores: those that compute, not the one that answers."""

import os
import sys
import threading
from contextlib import suppress
from typing import Final

HANDED_OVER_S: Final = 0.0005
"""How long a thread may go on with the interpreter when another one asks for it; Python's own default is 0.005, in which
the event loop would have refused twenty requests."""

GIVES_WAY_BY: Final = 5
"""Of niceness: the event loop weighs three times as much as one such thread (1024 to 335, sched(7))."""


def hand_over_soon() -> None:
    """Let threads take the interpreter from each other sooner; for the whole process, so its owner calls this."""
    sys.setswitchinterval(HANDED_OVER_S)


def give_way() -> None:
    """Let this thread, and all that it starts from now on, come after the event loop where both want a core.

    A thread pool's initializer. On Linux alone: elsewhere threads have no niceness of their own.
    """
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    with suppress(OSError):  # a sandbox that forbids it
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + GIVES_WAY_BY)
