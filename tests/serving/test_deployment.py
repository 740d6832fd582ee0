"""One model that serves, with an engine that the test holds in its hand."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.bundles import write_random_bundle
from support.devices import until

from app.bundles.repository import Bundle
from app.domain import EvidenceKind, Method, Size
from app.engines.base import EngineOutput, Run
from app.errors import DeviceLost, InferenceFailed, InvalidRequest, UnknownClass
from app.explain.plan import Question
from app.serving.deployment import Deployment, Proof, ProvedEngine


class ScriptedEngine:
    """Answers what the test wrote down, when the test lets it."""

    runtime = "scripted"
    precision = "float32"
    batches_in_flight = 1
    takes_any_thread = False
    largest_batch: int | None = None
    input_size = Size(2, 2)
    class_count = 3
    evidence_kind: EvidenceKind = "exact"
    evidence_methods: tuple[Method, ...] = ("cam", "gradcam", "hirescam", "xgradcam")
    margin_cells = 0.0
    target_layer = "layer4"

    def __init__(self, logits: list[float], device: str = "cpu") -> None:
        self.logits = np.array(logits, dtype=np.float32)
        self.device = device
        self.is_lost = False
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.is_closed = False

    @property
    def ways(self) -> tuple[Run, ...]:
        return (self.run,)

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        assert self.may_go_on.wait(10)
        if self.is_lost:
            raise DeviceLost("CUDA error: unspecified launch failure")
        count = len(images)
        evidence = np.zeros((count, 3, 1, 1), dtype=np.float32)
        return EngineOutput(np.tile(self.logits, (count, 1)), evidence)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_random_bundle(Path(tmp_path_factory.mktemp("models")))


PROOF = Proof(sum_rule_error=0.0, golden=None, latency_s={1: 0.01, 2: 0.02}, warnings=())


@asynccontextmanager
async def deployed(
    bundle: Bundle,
    engine: ScriptedEngine,
    *others: ScriptedEngine,
    fallback: ScriptedEngine | None = None,
    worker_stall_s: float = 30.0,
) -> AsyncIterator[Deployment]:
    deployment = Deployment(
        bundle,
        engine,
        PROOF,
        others=[ProvedEngine(other, PROOF) for other in others],
        fallback=None if fallback is None else ProvedEngine(fallback, PROOF),
        batch_sizes=(1, 2),
        max_entries=4,
        max_bytes=1000,
        max_image_pixels=1000,
        max_view_pixels=1000,
        worker_stall_s=worker_stall_s,
        on_batch=lambda _size: None,
    )
    try:
        yield deployment
    finally:
        for one in (engine, *others):
            one.may_go_on.set()
        assert await deployment.close(timeout_s=10)


IMAGE = np.zeros((2, 2, 3), dtype=np.uint8)


async def test_scores_come_in_order_and_equal_ones_in_class_order(bundle: Bundle) -> None:
    """Probabilities are the softmax of the logits."""
    async with deployed(bundle, ScriptedEngine([1.0, 2.0, 1.0])) as deployment:
        inference = await deployment.infer(IMAGE, time.monotonic() + 5)
        scores = deployment.scores(inference.logits)

    assert [score.class_name for score in scores] == ["boar", "castrate", "female"]
    assert sum(score.probability for score in scores) == pytest.approx(1.0)
    assert scores[0].probability == pytest.approx(np.e**2 / (np.e**2 + 2 * np.e))


async def test_answer_that_is_no_number_is_an_error_not_a_class(bundle: Bundle) -> None:
    """NaN has no largest class; the worker lives on."""
    engine = ScriptedEngine([float("nan"), 0.0, 0.0])
    async with deployed(bundle, engine) as deployment:
        with pytest.raises(InferenceFailed):
            await deployment.infer(IMAGE, time.monotonic() + 5)
        engine.logits = np.zeros(3, dtype=np.float32)

        assert (await deployment.infer(IMAGE, time.monotonic() + 5)).logits.tolist() == [0, 0, 0]


async def test_sizes_that_an_engine_computes_in_parts_do_not_run(bundle: Bundle) -> None:
    """Whoever is in the first part would wait for the second."""
    engine = ScriptedEngine([0.0, 0.0, 0.0])
    engine.largest_batch = 1
    async with deployed(bundle, engine) as deployment:
        engine.may_go_on.clear()
        calls = [asyncio.create_task(deployment.infer(IMAGE, time.monotonic() + 20)) for _ in range(4)]
        await until(lambda: deployment.entry_count == 4)
        engine.may_go_on.set()

        assert deployment.batch_sizes == (1,)
        assert [inference.batch_size for inference in await asyncio.gather(*calls)] == [1, 1, 1, 1]


async def test_hanging_device_is_a_fault_and_mere_load_is_not(bundle: Bundle) -> None:
    """Readiness asks the worker; a full queue does not change it."""
    engine = ScriptedEngine([0.0, 0.0, 0.0])
    async with deployed(bundle, engine, worker_stall_s=0.2) as deployment:
        engine.may_go_on.clear()
        calls = [asyncio.create_task(deployment.infer(IMAGE, time.monotonic() + 20)) for _ in range(4)]
        await until(lambda: deployment.entry_count == 4)
        assert deployment.fault() is None
        await until(lambda: deployment.fault() is not None)
        assert "has not answered" in str(deployment.fault())

        engine.may_go_on.set()
        await asyncio.gather(*calls)
        assert deployment.fault() is None
    assert engine.is_closed


async def test_lost_device_is_told_and_the_model_stays_ready_on_the_other(bundle: Bundle) -> None:
    """Whoever asked is answered by the one that is left."""
    engines = [ScriptedEngine([n, 0.0, 0.0], f"cuda:{n}") for n in (0, 1)]
    engines[0].is_lost = True
    async with deployed(bundle, *engines) as deployment:
        assert (deployment.device, deployment.outages()) == ("cuda:0, cuda:1", ())
        calls = [deployment.infer(IMAGE, time.monotonic() + 20) for _ in range(4)]
        answers = await asyncio.gather(*calls)
        while not deployment.outages():
            answers.append(await deployment.infer(IMAGE, time.monotonic() + 20))

        assert {answer.logits[0] for answer in answers} == {1.0}
        assert deployment.fault() is None
        assert deployment.device == "cuda:1"
        assert deployment.out_of_service == 1
        assert deployment.outages() == (
            "cuda:0 is out of service (CUDA error: unspecified launch failure); mend it and restart the server",
        )
    assert all(engine.is_closed for engine in engines)


async def test_processor_answers_when_every_device_is_lost_and_says_so(bundle: Bundle) -> None:
    """Ready, since it may still drive the gate; slower, which is told."""
    engine, spare = ScriptedEngine([0.0, 0.0, 0.0], "cuda:0"), ScriptedEngine([7.0, 0.0, 0.0])
    engine.is_lost = True
    async with deployed(bundle, engine, fallback=spare) as deployment:
        answer = await deployment.infer(IMAGE, time.monotonic() + 20)

        assert answer.logits[0] == 7.0
        assert deployment.fault() is None
        assert deployment.device == "cpu"
        assert [word in " ".join(deployment.outages()) for word in ("cuda:0", "only cpu answers")] == [
            True,
            True,
        ]
    assert engine.is_closed
    assert spare.is_closed


async def test_model_without_any_device_is_not_ready(bundle: Bundle) -> None:
    engine = ScriptedEngine([0.0, 0.0, 0.0], "cuda:0")
    engine.is_lost = True
    async with deployed(bundle, engine) as deployment:
        with pytest.raises(InferenceFailed):
            await deployment.infer(IMAGE, time.monotonic() + 20)

        assert "cuda:0 is out of service (CUDA error" in str(deployment.fault())
        assert deployment.outages() == ()


async def test_one_of_two_devices_that_hangs_is_told_and_is_no_fault(bundle: Bundle) -> None:
    engines = [ScriptedEngine([0.0, 0.0, 0.0], f"cuda:{n}") for n in (0, 1)]
    async with deployed(bundle, *engines, worker_stall_s=0.1) as deployment:
        for engine in engines:
            engine.may_go_on.clear()
        calls = [asyncio.create_task(deployment.infer(IMAGE, time.monotonic() + 20)) for _ in range(4)]
        await until(lambda: deployment.fault() is not None)  # two each: both hang
        engines[1].may_go_on.set()
        await until(lambda: deployment.fault() is None)

        assert "cuda:0 has not answered" in deployment.outages()[0]
        engines[0].may_go_on.set()
        await asyncio.gather(*calls)
        assert deployment.outages() == ()
        assert deployment.out_of_service == 0


async def test_class_is_found_by_name_or_index(bundle: Bundle) -> None:
    """And an unknown one is refused with those that exist."""
    async with deployed(bundle, ScriptedEngine([0.0, 0.0, 0.0])) as deployment:
        assert [deployment.abilities.class_index(target) for target in ("female", "0", "1")] == [2, 0, 1]
        with pytest.raises(UnknownClass, match="castrate, boar, female"):
            deployment.abilities.class_index("cow")


async def test_engine_that_cannot_be_probed_says_what_it_gives(bundle: Bundle) -> None:
    """Everything that the evidence alone answers, on any engine; the rest is refused by name."""
    async with deployed(bundle, ScriptedEngine([0.0, 0.0, 0.0])) as deployment:
        for question in (
            Question(),
            Question(method="gradcam"),
            Question(classes="all"),
            Question(against="boar"),
        ):
            assert deployment.plan(question).probe is None
        for question in (Question(method="layercam"), Question(layers="all"), Question(view="full")):
            with pytest.raises(InvalidRequest):
                deployment.plan(question)
        assert deployment.abilities.methods == ("cam", "gradcam", "hirescam", "xgradcam")
        assert not deployment.abilities.can_view
