"""Promises of the torch engine; those for CUDA need a device (`make test-gpu`)."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
import pytest
import torch
from support.servables import SIZE, assert_close, noise, servable_of

from app.domain import ConvCamHead, HeadSpec, LinearHead, MlpHead
from app.engines.base import Engine, EngineOutput, warm_up
from app.engines.torch_engine import TorchEngine, resolve_device, resolve_devices
from app.errors import SettingsInvalid

HEADS: list[HeadSpec] = [LinearHead(), MlpHead((16,)), ConvCamHead()]


def cpu_engine(head: HeadSpec | None = None) -> Engine:
    return TorchEngine(servable_of(head), "cpu", lock=Lock())


@pytest.mark.parametrize("head", HEADS, ids=str)
def test_it_answers_as_the_servable_and_tells_what_it_is(head: HeadSpec) -> None:
    servable = servable_of(head)
    images = noise(4)
    logits, evidence = (tensor.numpy() for tensor in servable(torch.from_numpy(images)))

    engine: Engine = TorchEngine(servable_of(head), "cpu", lock=Lock())
    output = engine.run(images)

    assert_close(output, EngineOutput(logits, evidence), 1e-5)
    assert output.logits.dtype == output.evidence.dtype == np.float32
    assert output.evidence.flags.c_contiguous
    assert (engine.device, engine.precision, engine.input_size, engine.class_count) == (
        "cpu",
        "float32",
        SIZE,
        3,
    )
    assert engine.evidence_kind == servable.evidence_kind
    assert engine.margin_cells == servable.margin_cells
    assert engine.target_layer == servable.target_layer


@pytest.mark.parametrize("head", HEADS, ids=str)
def test_a_batch_of_eight_answers_as_eight_singles(head: HeadSpec) -> None:
    engine, images = cpu_engine(head), noise(8)
    singles = [engine.run(images[i : i + 1]) for i in range(8)]

    batch = engine.run(images)

    together = EngineOutput(
        np.concatenate([s.logits for s in singles]), np.concatenate([s.evidence for s in singles])
    )
    assert_close(batch, together, 1e-5)


@pytest.mark.parametrize("head", HEADS, ids=str)
def test_eight_threads_get_what_one_gets(head: HeadSpec) -> None:
    """Bit for bit; hook-based libraries get 10 of 24 maps wrong under two threads."""
    engine = cpu_engine(head)
    batches = [noise(1 + seed % 4, seed) for seed in range(16)]
    # torch's number of threads is each thread's own, and the main one's may be another: other sums in float32.
    with ThreadPoolExecutor(1) as pool:
        alone = list(pool.map(engine.run, batches))

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(engine.run, batches))

    for found, expected in zip(together, alone, strict=True):
        assert np.array_equal(found.logits, expected.logits)
        assert np.array_equal(found.evidence, expected.evidence)


def test_two_engines_of_one_device_take_turns() -> None:
    """While the device's lock is held, no engine on it computes."""
    lock = Lock()
    engines = [TorchEngine(servable_of(), "cpu", lock=lock) for _ in range(2)]

    with ThreadPoolExecutor(2) as pool:
        with lock:
            answers = [pool.submit(engine.run, noise(1)) for engine in engines]
            assert not any(answer.done() for answer in answers)
        assert all(answer.result().logits.shape == (1, 3) for answer in answers)


def test_full_float32_leaves_flags_that_torch_itself_can_read() -> None:
    """In a process of its own: they are the whole process's. torch.export reads them when a fallback is converted."""
    code = """
import torch
from app.engines.torch_engine import use_full_float32
use_full_float32()
assert torch.backends.cudnn.allow_tf32 is False
assert torch.backends.cuda.matmul.allow_tf32 is False
assert torch.get_float32_matmul_precision() == "highest"
torch.export.export(torch.nn.Conv2d(3, 4, 3).eval(), (torch.zeros(1, 3, 8, 8),))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr


def test_arrays_that_may_not_be_written_or_are_not_contiguous_are_taken() -> None:
    """Decoders hand out read-only views; torch would warn of them."""
    engine, images = cpu_engine(), noise(2)
    read_only = images.copy()
    read_only.flags.writeable = False
    flipped = images[:, :, ::-1].copy()[:, :, ::-1]

    for variant in (read_only, flipped):
        assert np.array_equal(engine.run(variant).logits, engine.run(images).logits)


def test_later_batches_do_not_change_earlier_answers() -> None:
    engine = cpu_engine()
    first = engine.run(noise(2, 1))
    kept = first.logits.copy(), first.evidence.copy()

    engine.run(noise(2, 2))

    assert np.array_equal(first.logits, kept[0])
    assert np.array_equal(first.evidence, kept[1])


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 40, 32, 3), np.uint8),
        np.zeros((1, 32, 40, 3), np.float32),
        np.zeros((32, 40, 3), np.uint8),
        np.zeros((1, 32, 40, 1), np.uint8),
    ],
)
def test_images_of_another_shape_or_type_are_our_bug(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected \(B, 32, 40, 3\) uint8"):
        cpu_engine().run(images)


def test_a_closed_engine_runs_no_more() -> None:
    engine = cpu_engine()
    engine.close()
    engine.close()

    with pytest.raises(RuntimeError, match="closed"):
        engine.run(noise(1))


def test_a_servable_in_training_mode_is_not_taken() -> None:
    with pytest.raises(ValueError, match="training mode"):
        TorchEngine(servable_of().train(), "cpu", lock=Lock())


def test_warming_up_runs_every_size_and_times_it_once_it_is_warm() -> None:
    engine = cpu_engine()
    seen: list[int] = []
    run = engine.run
    engine.run = lambda images: (seen.append(len(images)), run(images))[1]  # type: ignore[method-assign]

    seconds = warm_up(engine, [4, 1, 2, 1])

    assert list(seconds) == [1, 2, 4]
    assert all(value > 0 for value in seconds.values())
    assert sorted(seen) == seen
    assert all(3 <= seen.count(size) <= 11 for size in (1, 2, 4))


def test_the_processor_is_always_there() -> None:
    assert resolve_device("cpu") == resolve_device(" CPU ") == "cpu"
    assert resolve_device("auto") == ("cuda:0" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(
    ("name", "words"),
    [("gpu", "known: auto, cpu"), ("cuda:999", "there is no device cuda:999"), ("", "known")],
)
def test_a_device_that_is_not_there_is_refused_with_the_fix(name: str, words: str) -> None:
    with pytest.raises(SettingsInvalid, match=words):
        resolve_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_cuda_without_a_device_is_refused_with_the_fix() -> None:
    with pytest.raises(SettingsInvalid, match="set the device to cpu or auto"):
        resolve_device("cuda")


def test_the_engine_contract_needs_no_torch() -> None:
    """A box that serves converted models need not have torch."""
    code = "import sys, app.engines.base; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("names", "words"),
    [("cpu,cpu", "each once"), ("cuda:0,gpu", "."), ("cpu,", "known"), ("", "known")],
)
def test_several_devices_are_named_once_and_are_there(names: str, words: str) -> None:
    with pytest.raises(SettingsInvalid, match=words):
        resolve_devices(names)


def test_one_device_is_a_list_of_one() -> None:
    assert resolve_devices(" cpu ") == ("cpu",)


@pytest.mark.gpu
def test_processor_does_not_stand_beside_a_cuda_device() -> None:
    """It would take batches that the other answers sooner."""
    assert resolve_devices("cuda") == ("cuda:0",)
    with pytest.raises(SettingsInvalid, match="fallback"):
        resolve_devices("cuda:0,cpu")


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["cifar_resnet14", "resnet18", "resnet50"])
@pytest.mark.parametrize("head", [LinearHead(), MlpHead((16,))], ids=str)
def test_cuda_answers_as_the_processor_does(name: str, head: HeadSpec) -> None:
    """In full float32: with TF32 the difference would be around 1e-3."""
    device = resolve_device("cuda")
    images = noise(8)
    expected = TorchEngine(servable_of(head, name), "cpu", lock=Lock()).run(images)
    engine = TorchEngine(servable_of(head, name), device, lock=Lock())

    assert_close(engine.run(images), expected, 1e-4)
    assert_close(engine.run(images[:1]), EngineOutput(expected.logits[:1], expected.evidence[:1]), 1e-4)
    assert_close(engine.run(images), expected, 1e-4)
