"""Threads for pictures: every job ends once, and a second thread works where the first is not enough."""

import asyncio
import time

import pytest
from support.devices import until
from support.image_work import Model, Work, begin

from app.errors import ShuttingDown
from app.serving.image_threads import ImageThreads


async def test_result_and_error_are_the_callers(two: ImageThreads) -> None:
    def fail() -> None:
        raise LookupError("no such thing")

    assert await two.run(lambda: 7) == 7
    with pytest.raises(LookupError, match="no such thing"):
        await two.run(fail)
    assert await two.run(lambda: 8) == 8


async def test_what_its_model_can_wait_for_waits_for_the_thread_that_works(two: ImageThreads) -> None:
    model, first, second = Model(is_supplied=True), Work(), Work()
    tasks = [begin(two, first, model), begin(two, second, model)]
    await until(first.begun.is_set)
    began_beside_it = second.begun.wait(0.2)
    first.may_end.set()
    await until(second.begun.is_set)
    second.may_end.set()
    names = [await task for task in tasks]

    assert not began_beside_it
    assert names[0] == names[1]


async def test_what_its_model_needs_begins_on_another_thread(two: ImageThreads) -> None:
    model, first, second, third = Model(is_supplied=False), Work(), Work(), Work()
    tasks = [begin(two, work, model) for work in (first, second, third)]
    await until(lambda: first.begun.is_set() and second.begun.is_set())
    has_third_begun = third.begun.wait(0.1)
    for work in (first, second, third):
        work.may_end.set()
    names = {await task for task in tasks}

    assert not has_third_begun
    assert len(names) == 2


@pytest.mark.parametrize("model", [None, Model(is_supplied=False)])
async def test_what_is_needed_overtakes_what_can_wait(two: ImageThreads, model: Model | None) -> None:
    """A drawing, which nobody computes with, and the picture of a model that has nothing to do."""
    supplied, first, waiting, needed = Model(is_supplied=True), Work(), Work(), Work()
    tasks = [begin(two, first, supplied), begin(two, waiting, supplied)]
    await until(first.begun.is_set)
    tasks.append(begin(two, needed, model))
    await until(needed.begun.is_set)
    has_begun = waiting.begun.is_set()
    for work in (first, waiting, needed):
        work.may_end.set()
    await asyncio.gather(*tasks)

    assert not has_begun


async def test_second_thread_joins_when_the_model_runs_short(two: ImageThreads) -> None:
    model = Model(is_supplied=True)
    works = [Work() for _ in range(3)]
    tasks = [begin(two, work, model) for work in works]
    await until(works[0].begun.is_set)
    model.is_supplied = False
    works[0].may_end.set()
    await until(lambda: works[1].begun.is_set() and works[2].begun.is_set())
    for work in works:
        work.may_end.set()

    assert len({await task for task in tasks}) == 2


async def test_what_is_handed_on_is_told_where_it_leads_to_and_its_error_at_once(two: ImageThreads) -> None:
    """The event loop hears of no step between."""
    loop = asyncio.get_running_loop()
    made: list[str] = []
    led_to = loop.create_future()
    answer = asyncio.create_task(two.hand_on(lambda: made.append("pixels"), led_to))
    await until(lambda: made == ["pixels"])
    assert await two.run(lambda: 7) == 7
    assert not answer.done()
    led_to.set_result("boar")
    assert await answer == "boar"

    def fail() -> None:
        raise LookupError("no such picture")

    with pytest.raises(LookupError, match="no such picture"):
        await two.hand_on(fail, loop.create_future())
    two.close()
    with pytest.raises(ShuttingDown):
        await two.hand_on(fail, loop.create_future())


async def test_who_leaves_before_what_he_hands_on_began_takes_it_back(two: ImageThreads) -> None:
    model, first, left = Model(is_supplied=True), Work(), Work()
    outcome = asyncio.get_running_loop().create_future()
    held = begin(two, first, model)
    await until(first.begun.is_set)
    leaver = asyncio.create_task(two.hand_on(left, outcome, consumer=model))
    await asyncio.sleep(0)
    leaver.cancel()
    await asyncio.wait([leaver])
    first.may_end.set()
    await held
    assert await two.run(lambda: 7, consumer=model) == 7

    assert outcome.cancelled()
    assert not left.begun.is_set()


async def test_who_leaves_before_it_began_takes_it_back(two: ImageThreads) -> None:
    model, first, left, last = Model(is_supplied=True), Work(), Work(), Work()
    tasks = [begin(two, work, model) for work in (first, left, last)]
    await until(first.begun.is_set)
    tasks[1].cancel()
    await asyncio.wait([tasks[1]])
    first.may_end.set()
    last.may_end.set()
    await asyncio.gather(tasks[0], tasks[2])

    assert not left.begun.is_set()


async def test_thread_outlives_a_caller_that_left_meanwhile(two: ImageThreads) -> None:
    work = Work()
    task = begin(two, work)
    await until(work.begun.is_set)
    task.cancel()
    await asyncio.wait([task])
    work.may_end.set()

    assert await two.run(lambda: 7) == 7


async def test_closing_ends_what_waits_and_begins_nothing(two: ImageThreads) -> None:
    model, first, waiting = Model(is_supplied=True), Work(), Work()
    tasks = [begin(two, first, model), begin(two, waiting, model)]
    await until(first.begun.is_set)
    two.close()
    await asyncio.wait([tasks[1]])
    first.may_end.set()
    await tasks[0]
    with pytest.raises(ShuttingDown, match="try another"):
        await two.run(lambda: 7)

    assert tasks[1].cancelled()
    assert not waiting.begun.is_set()


async def test_all_of_many_jobs_end_whatever_their_models_have(two: ImageThreads) -> None:
    """Nothing is forgotten where threads fall idle and jobs come at the same time."""
    models = [None, Model(is_supplied=True), Model(is_supplied=False)]

    async def some(seed: int) -> int:
        done = 0
        for number in range(200):
            model = models[(seed + number) % 3]
            done += await two.run(lambda: time.sleep(0.0001) or 1, consumer=model)
        return done

    async with asyncio.timeout(60):
        assert sum(await asyncio.gather(*(some(seed) for seed in range(5)))) == 1000
