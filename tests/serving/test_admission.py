"""Who was told that there is room counts until it is admitted, and is not turned away then."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.devices import Device, call, queued

from app.errors import QueueFull, ShuttingDown, Unavailable
from app.serving.admission import Admission
from app.serving.batcher import Batcher
from app.serving.capacity import Capacity
from app.serving.catalogue import Catalogue
from app.serving.deployment import Deployment
from app.serving.worker import Runner


class Model:
    """A deployment's door: 0.1 s an entry, on a device that a test holds."""

    def __init__(self, name: str, max_entries: int) -> None:
        self.device = Device(held=True)
        self.batcher = Batcher[int, int](
            name,
            [Runner("cpu", self.device.run, {1: 0.1})],
            batch_sizes=[1],
            max_entries=max_entries,
            max_bytes=9999,
        )
        self.reserve = self.batcher.reserve
        self.refusal = self.batcher.refusal

    @property
    def departures(self) -> int:
        return self.batcher.departures


@dataclass
class Server:
    admission: Admission
    models: dict[str, Model]

    def room(self, model: str, *, within_s: float = 60.0) -> Deployment | Unavailable:
        return self.admission.room(model=model, version=None, deadline=time.monotonic() + within_s)

    def expect(self, model: str, requests: int) -> None:
        self.admission.expect(cast("Deployment", self.models[model]), requests)

    def admit(self, model: str, *, within_s: float, is_expected: bool) -> None:
        now = time.monotonic()
        with self.admission.admit(
            "id",
            model=model,
            version=None,
            started=now,
            deadline=now + within_s,
            expected_by=cast("Deployment", self.models[model]) if is_expected else None,
        ):
            pass


@asynccontextmanager
async def server(*, max_entries: int = 99, max_requests: int = 99) -> AsyncIterator[Server]:
    models = {name: Model(name, max_entries) for name in ("one", "two")}
    catalogue: Any = SimpleNamespace(find_ready=lambda name, _version: models[name])
    capacity = Capacity("server", max_entries=max_requests, max_bytes=9999)
    for model in models.values():
        model.batcher.start()
    try:
        yield Server(Admission(cast("Catalogue", catalogue), capacity), models)
    finally:
        for model in models.values():
            model.device.let_go()
            assert await model.batcher.close(timeout_s=5)


async def test_whoever_is_expected_has_its_place_in_its_models_queue() -> None:
    async with server(max_entries=2) as one:
        assert one.room("one") is one.models["one"]
        one.expect("one", 2)

        assert isinstance(one.room("one"), QueueFull)
        assert one.room("two") is one.models["two"]
        one.expect("one", -1)
        assert one.room("one") is one.models["one"]


async def test_whoever_is_expected_has_its_place_in_the_server() -> None:
    async with server(max_requests=2) as one:
        one.expect("one", 1)
        one.expect("two", 1)

        assert isinstance(one.room("one"), QueueFull)
        one.expect("two", -1)
        assert one.room("one") is one.models["one"]


async def test_those_expected_are_waited_for_as_those_inside() -> None:
    async with server() as one:
        one.expect("one", 10)

        refusal = one.room("one", within_s=1.0)
        assert isinstance(refusal, QueueFull)
        assert "the wait in the queue of one may take 1.2 s" in refusal.message
        assert one.room("one", within_s=1.4) is one.models["one"]


async def test_whoever_was_told_that_there_is_room_is_not_asked_for_its_time_again() -> None:
    """It has waited since, for its turn."""
    async with server() as one:
        calls = [call(one.models["one"].batcher, n) for n in range(5)]
        await queued(one.models["one"].batcher, 5)

        one.admit("one", within_s=0.3, is_expected=True)
        with pytest.raises(QueueFull):
            one.admit("one", within_s=0.3, is_expected=False)
        for waiting in calls:
            waiting.cancel()


@pytest.mark.parametrize("has_place", [True, False])
async def test_place_that_a_queue_was_given_back_is_a_departure(*, has_place: bool) -> None:
    """Who was told "full" a moment ago finds room, although nobody has left the server."""
    async with server(max_entries=2) as one:
        model, now = one.models["one"], time.monotonic()
        model.device.let_go()
        with one.admission.admit("id", model="one", version=None, started=now, deadline=now + 60) as ticket:
            before = one.admission.departures
            place = ticket.place if has_place else None  # the further pictures of a check have none
            await model.batcher.submit(1, byte_count=1, deadline=now + 60, place=place)

            assert one.admission.departures == before + 1
            assert model.batcher.entry_count == (0 if has_place else 1)


async def test_nobody_finds_room_where_the_door_is_closed() -> None:
    async with server() as one:
        one.admission.close()

        assert isinstance(one.room("one"), ShuttingDown)
        with pytest.raises(ShuttingDown):
            one.admit("one", within_s=9.0, is_expected=True)
