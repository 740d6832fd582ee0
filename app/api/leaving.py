"""The client that closes its connection: nobody works for it any more."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from starlette.requests import Request

from app.api.context import CLIENT_LEFT, context_of

ReplyT = TypeVar("ReplyT")


LEAVING = "leaving"
"""In a scope's state, a `Leaving`, where the server's protocol says at once who leaves."""


class ClientLeft(Exception):
    """The client closed the connection; nobody reads the answer."""


class Leaving:
    """Of one request: whether its client has left, and who is to be told."""

    def __init__(self) -> None:
        self.has_left = False
        self.tell: Callable[[], None] | None = None

    def left(self) -> None:
        """It did, before its answer was out."""
        self.has_left = True
        if self.tell is not None:
            self.tell()


async def unless_left(request: Request, work: Coroutine[Any, Any, ReplyT]) -> ReplyT:
    """Do the work in this very task, but drop it as soon as the client closes the connection.

    Args:
        request: whose body was read.
        work: is cancelled where the client leaves.

    Raises:
        ClientLeft: it did; noted in the request's context.
    """
    task = cast("asyncio.Task[Any]", asyncio.current_task())
    has_left = is_over = False

    def leave() -> None:
        nonlocal has_left
        if not is_over:
            has_left = True
            task.cancel()

    leaving: Leaving | None = request.scope.get("state", {}).get(LEAVING)
    if leaving is not None and leaving.has_left:
        work.close()
        context_of(request).status = CLIENT_LEFT
        raise ClientLeft
    watch: asyncio.Task[None] | None = None
    if leaving is None:
        watch = asyncio.create_task(_left(request))
        watch.add_done_callback(lambda watch: None if watch.cancelled() else leave())
    else:
        leaving.tell = leave
    try:
        return await work
    except asyncio.CancelledError:
        if not has_left or task.uncancel():
            raise  # it is, or is also, somebody else's
        context_of(request).status = CLIENT_LEFT
        raise ClientLeft from None
    finally:
        is_over = True
        if watch is not None:
            watch.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
