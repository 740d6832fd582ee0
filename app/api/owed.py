"""The answers that are owed on one connection: uvicorn's cycles, and what those who work on them are told.

uvicorn marks only the newest cycle of a connection where the client leaves, and hears of no body that cannot be read.
"""

from collections.abc import Sequence
from typing import Any

from app.api.context import UNREADABLE
from app.api.leaving import LEAVING, Leaving
from app.api.request_ids import id_among
from app.api.unreadable import answer


def and_this(owed: Sequence[Any], cycle: Any) -> tuple[Any, ...]:
    """One cycle more, the newest last; its application hears at once where its client leaves."""
    cycle.scope["state"][LEAVING] = Leaving()
    return (*still(owed), cycle)


def still(owed: Sequence[Any]) -> list[Any]:
    """Those whose answer is not out, the oldest first."""
    return [cycle for cycle in owed if not cycle.response_complete]


def nobody_waits(owed: Sequence[Any]) -> None:
    """The client has left."""
    for cycle in still(owed):
        _disconnect(cycle)
        cycle.scope["state"][LEAVING].left()


def broken_off(cycle: Any, detail: str) -> bytes:
    """What its client is told, whose body the application reads just now; that hears of it, counts and logs it."""
    state = cycle.scope["state"]
    given = state["context"].id if "context" in state else id_among(cycle.scope["headers"])
    state[UNREADABLE] = given
    _disconnect(cycle)
    return answer(detail, request_id=given)


def _disconnect(cycle: Any) -> None:
    cycle.disconnected = True
    cycle.message_event.set()
