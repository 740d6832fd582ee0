"""The CUDA engine on a device (`make test-gpu`); what can be seen without one is in test_cuda_engine.py."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
import pytest
import torch
from support.servables import assert_close, noise, servable_of

from app.domain import HeadSpec, LinearHead, MlpHead
from app.engines.base import EngineOutput
from app.engines.cuda_engine import CudaEngine
from app.engines.torch_engine import TorchEngine, resolve_device
from app.nets.servable import Servable

pytestmark = pytest.mark.gpu


def cuda_engine(precision: str, servable: Servable | None = None) -> CudaEngine:
    return CudaEngine(
        servable or servable_of(),
        resolve_device("cuda"),
        lock=Lock(),
        precision=precision,
        batch_sizes=(1, 2, 4, 8),
    )


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("cifar_resnet14", LinearHead()),
        ("cifar_resnet14", MlpHead((16,))),
        ("resnet18", LinearHead()),
        ("resnet50", LinearHead()),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("float32", 1e-4), ("bfloat16", 5e-2), ("float16", 1e-2)]
)
def test_cuda_graphs_answer_as_the_processor_does(
    name: str, head: HeadSpec, precision: str, tolerance: float
) -> None:
    """float32 in full: with TF32 the difference would be around 1e-3."""
    engine = cuda_engine(precision, servable_of(head, name))

    for count in (8, 1, 3, 8, 4):
        expected = TorchEngine(servable_of(head, name), "cpu", lock=Lock()).run(noise(count))
        assert_close(engine.run(noise(count)), expected, tolerance)
    engine.close()


def test_cuda_streams_keep_batches_of_many_threads_apart() -> None:
    """Uploads overlap computing; bit for bit what one thread gets."""
    engine = cuda_engine("bfloat16", servable_of(name="resnet18"))
    batches = [noise((1, 2, 4, 8)[seed % 4], seed) for seed in range(200)]
    alone = [engine.run(batch) for batch in batches]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(engine.run, batches))

    for found, expected in zip(together, alone, strict=True):
        assert np.array_equal(found.logits, expected.logits)
        assert np.array_equal(found.evidence, expected.evidence)


def test_cuda_models_loaded_while_another_serves_disturb_nothing() -> None:
    """A capture watches its own thread only."""
    serving = cuda_engine("bfloat16")
    expected = serving.run(noise(4))
    others = [
        (precision, servable_of()) for precision in ("bfloat16", "float32")
    ]  # torch has one seed for all threads
    with ThreadPoolExecutor(3) as pool:
        loading = [pool.submit(cuda_engine, precision, servable) for precision, servable in others]
        answers = [serving.run(noise(4)) for _ in range(200)]
        engines = [one.result() for one in loading]

    assert all(np.array_equal(answer.logits, expected.logits) for answer in answers)
    for engine in engines:
        assert_close(engine.run(noise(4)), EngineOutput(expected.logits, expected.evidence), 5e-2)


def test_cuda_memory_is_given_back_when_engines_are_closed() -> None:
    """Triton's and others' grow with every reload."""
    cuda_engine("bfloat16", servable_of(name="resnet50")).close()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()

    for _ in range(5):
        cuda_engine("bfloat16", servable_of(name="resnet50")).close()

    assert torch.cuda.memory_allocated() - before < 2**20


def test_cuda_device_that_fails_is_lost() -> None:
    """In a process of its own: a failed context stays failed."""
    code = """
import sys, threading
sys.path.insert(0, "tests")
import torch
from support.servables import noise, servable_of
from app.engines.cuda_engine import CudaEngine
from app.errors import DeviceLost
engine = CudaEngine(servable_of(), "cuda:0", lock=threading.Lock(), precision="float32", batch_sizes=(1, 2))
engine.run(noise(2))
torch.zeros(3, device="cuda:0").index_select(0, torch.tensor([5], device="cuda:0"))  # a device-side assertion
try:
    engine.run(noise(2))
except DeviceLost as lost:
    print("lost:", lost.message, flush=True)
import os
os._exit(0)  # destructors would ask the broken context
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300
    )

    assert done.stdout.startswith("lost: CUDA error"), done.stderr[-2000:]
