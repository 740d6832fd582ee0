"""Two batches under way on a device that does everything as late as it may."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
import torch
from support.late_streams import LateDevice
from torch import Tensor

from app.domain import Size
from app.engines.base import EngineOutput
from app.engines.graph_pipeline import SLOTS, GraphPipeline

SIZES = (1, 2, 4)
PATIENCE_S = 20


def forward(images: Tensor) -> tuple[Tensor, Tensor]:
    """Two numbers of each image, and the image itself as evidence."""
    values = images.float()
    return torch.stack([values.mean(dim=(1, 2, 3)), values.amax(dim=(1, 2, 3))], dim=1), values.permute(
        0, 3, 1, 2
    )


def pipeline_on(device: LateDevice, turn: "threading.Lock | None" = None) -> GraphPipeline:
    return GraphPipeline(
        device, forward, batch_sizes=SIZES, input_size=Size(2, 3), turn=turn or threading.Lock()
    )


def images_of(count: int, seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, 2, 3, 3), dtype=np.uint8))


def assert_answers(output: EngineOutput, images: Tensor) -> None:
    logits, evidence = forward(images)
    assert np.array_equal(output.logits, logits.numpy())
    assert np.array_equal(output.evidence, evidence.numpy())


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_batch_gets_its_own_answers(threads: int) -> None:
    """Of any warmed size, from any number of threads, bit for bit."""
    pipeline = pipeline_on(LateDevice())
    batches = [images_of(SIZES[seed % 3], seed) for seed in range(60)]

    with ThreadPoolExecutor(threads) as pool:
        outputs = list(pool.map(pipeline.run, batches))

    for output, batch in zip(outputs, batches, strict=True):
        assert_answers(output, batch)


def test_next_batch_is_uploaded_while_the_present_one_computes() -> None:
    """And the one after that waits for a slot: nothing of it is touched before."""
    device = LateDevice()
    pipeline = pipeline_on(device)
    device.gate.acquire()
    device.log.clear()
    batches = [images_of(2, seed) for seed in range(SLOTS + 1)]
    with ThreadPoolExecutor(SLOTS + 1) as pool:
        running: list[Future[EngineOutput]] = [pool.submit(pipeline.run, batch) for batch in batches]
        for _ in range(SLOTS + 1):  # the constructor waited once
            assert device.waiting.acquire(timeout=PATIENCE_S)

        assert device.log.count("copies copy") == SLOTS
        assert device.log.count("computes replay") == SLOTS
        assert not any(one.done() for one in running)
        device.gate.release()
        for one, batch in zip(running, batches, strict=True):
            assert_answers(one.result(PATIENCE_S), batch)

    assert device.log.count("copies copy") == SLOTS + 1


def test_models_on_one_device_take_turns() -> None:
    """While another has the device, a batch is uploaded and nothing of it computed."""
    device, turn = LateDevice(), threading.Lock()
    pipeline = pipeline_on(device, turn)
    device.log.clear()
    with ThreadPoolExecutor(1) as pool:
        with turn:
            running = pool.submit(pipeline.run, images_of(2, 1))
            while device.log != ["copies copy", "copies record"]:
                assert not running.done()
                time.sleep(0.001)
        assert_answers(running.result(PATIENCE_S), images_of(2, 1))


@pytest.mark.parametrize("step", ["copy", "wait", "replay", "record"])
def test_batch_that_fails_half_way_leaves_nothing_behind(step: str) -> None:
    """The next batches in its slot are answered from their own pixels."""
    device = LateDevice()
    pipeline = pipeline_on(device)

    for seed in range(4):
        device.refuse = step
        with pytest.raises(RuntimeError, match="refused by the test"):
            pipeline.run(images_of(4, 100 + seed))
        assert_answers(pipeline.run(images_of(4, seed)), images_of(4, seed))


def test_answers_are_the_callers_own() -> None:
    """Pinned buffers are used again at once."""
    pipeline = pipeline_on(LateDevice())
    first = pipeline.run(images_of(4, 1))

    for seed in range(2, 6):
        pipeline.run(images_of(4, seed))

    assert_answers(first, images_of(4, 1))


def test_closing_waits_for_what_is_under_way_and_refuses_what_comes() -> None:
    """Also from several threads at once, and twice."""
    device = LateDevice()
    pipeline = pipeline_on(device)
    device.gate.acquire()
    with ThreadPoolExecutor(SLOTS + 1) as pool:
        running = [pool.submit(pipeline.run, images_of(1, seed)) for seed in range(SLOTS)]
        for _ in range(SLOTS + 1):
            assert device.waiting.acquire(timeout=PATIENCE_S)
        closing = pool.submit(pipeline.close)
        assert not closing.done()
        device.gate.release()
        for seed, one in enumerate(running):
            assert_answers(one.result(PATIENCE_S), images_of(1, seed))
        closing.result(PATIENCE_S)

    pipeline.close()
    assert pipeline.sizes == frozenset()
    with ThreadPoolExecutor(3) as pool:
        for late in [pool.submit(pipeline.run, images_of(1, seed)) for seed in range(3)]:
            with pytest.raises(RuntimeError, match="closed"):
                late.result(PATIENCE_S)


def test_late_device_shows_a_forgotten_order() -> None:
    """The seam itself: without waiting for the upload, the old pixels are computed."""
    device = LateDevice()
    host, there, out = torch.ones(1), torch.zeros(1), torch.zeros(1)

    device.copies.copy(there, host)
    device.computes.copy(out, there)
    device.computes.record().wait()

    assert out.item() == 0.0
    device.computes.wait_for(device.copies.record())
    device.computes.copy(out, there)
    device.computes.record().wait()
    assert out.item() == 1.0
