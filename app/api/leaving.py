"""The client that closes its connection: nobody works for it any more."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar, cast

from starlette.requests import Request

from app.api.context import CLIENT_LEFT, context_of

ReplyT = TypeVar("ReplyT")


class ClientLeft(Exception):
    """The client closed the connection; nobody reads the answer."""


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

    def leave(watch: "asyncio.Task[None]") -> None:
        nonlocal has_left
        if not is_over and not watch.cancelled():
            has_left = True
            task.cancel()

    watch = asyncio.create_task(_left(request))
    watch.add_done_callback(leave)
    try:
        return await work
    except asyncio.CancelledError:
        if not has_left or task.uncancel():
            raise  # it is, or is also, somebody else's
        context_of(request).status = CLIENT_LEFT
        raise ClientLeft from None
    finally:
        is_over = True
        watch.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
