"""Work for a client that has left is dropped; nobody else's cancellation is taken for that."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from starlette.requests import Request

from app.api.context import CLIENT_LEFT, RequestContext
from app.api.leaving import LEAVING, ClientLeft, Leaving, unless_left


def request_of(receive: Callable[[], Awaitable[dict[str, Any]]], leaving: Leaving | None = None) -> Request:
    state = {"context": RequestContext("id", 0.0)} | ({} if leaving is None else {LEAVING: leaving})
    return Request({"type": "http", "state": state}, cast("Any", receive))


async def stays() -> dict[str, Any]:
    await asyncio.sleep(60)
    raise AssertionError("cancelled long before")


async def leaves() -> dict[str, Any]:
    return {"type": "http.disconnect"}


async def test_answer_of_a_client_that_stays() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    before = len(asyncio.all_tasks())
    assert await unless_left(request_of(stays), work()) == 7
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before


async def test_work_is_dropped_when_the_client_leaves() -> None:
    dropped = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            dropped.set()

    request = request_of(leaves)
    with pytest.raises(ClientLeft):
        await unless_left(request, work())

    assert dropped.is_set()
    assert request.state.context.status == CLIENT_LEFT
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0  # it goes on


async def test_work_is_dropped_as_soon_as_the_server_says_that_the_client_left() -> None:
    """Our own server tells it; no task of ours waits for that, and later nobody hears of it."""
    leaving, may_end = Leaving(), asyncio.Event()

    async def work() -> int:
        await may_end.wait()
        return 7

    before = len(asyncio.all_tasks())
    request = request_of(stays, leaving)
    asked = asyncio.create_task(unless_left(request, work()))
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before + 1
    leaving.left()
    with pytest.raises(ClientLeft):
        await asked
    assert request.state.context.status == CLIENT_LEFT

    with pytest.raises(ClientLeft):  # it has left before the work began
        await unless_left(request, work())

    answered = Leaving()
    may_end.set()
    assert await unless_left(request_of(stays, answered), work()) == 7
    answered.left()
    await asyncio.sleep(0)


async def test_answer_that_is_there_when_the_client_leaves_stands() -> None:
    """Both in the same turn of the loop: the task is not cancelled in what it does next."""
    ended = asyncio.Event()

    async def leaves_then() -> dict[str, Any]:
        await ended.wait()
        return {"type": "http.disconnect"}

    async def work() -> int:
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(ended.set)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return 7

    request = request_of(leaves_then)
    assert await unless_left(request, work()) == 7
    await asyncio.sleep(0.01)
    assert request.state.context.status == 0


async def test_whoever_else_cancels_is_obeyed() -> None:
    request = request_of(stays)
    task = asyncio.create_task(unless_left(request, asyncio.sleep(60)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert request.state.context.status == 0


async def test_whoever_else_cancels_while_the_client_leaves_is_obeyed() -> None:
    async def leaves_and_is_cancelled() -> dict[str, Any]:
        asyncio.get_running_loop().call_soon(task.cancel)
        return {"type": "http.disconnect"}

    task = asyncio.create_task(unless_left(request_of(leaves_and_is_cancelled), asyncio.sleep(60)))
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_work_that_fails_says_why() -> None:
    async def work() -> None:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        await unless_left(request_of(stays), work())
