"""The CUDA engine: on streams of no device, as far as that goes; the rest needs one (`make test-gpu`)."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock

import numpy as np
import pytest
import torch
from support.late_streams import LateDevice
from support.servables import assert_close, noise, servable_of
from torch import nn

from app.domain import HeadSpec, LinearHead, MlpHead, Probe, Target
from app.engines.base import Engine, ProbeOutput, ProbingEngine
from app.engines.cuda_engine import CudaEngine, cuda_precisions, reduced
from app.engines.torch_engine import TorchEngine
from app.errors import DeviceLost, SettingsInvalid

SIZES = (1, 2, 4)
PRECISIONS = {"float32": 1e-6, "bfloat16": 3e-2, "float16": 5e-3}
"""With the largest difference from float32, as a share of the largest number; 8 and 11 bits keep 4e-3 and 5e-4 a step."""
PROBE = Probe(method="gradcam", layers=("layer2",), target=Target(class_index=1))


def late_engine(
    precision: str = "float32", *, head: HeadSpec | None = None, streams: LateDevice | None = None
) -> CudaEngine:
    return CudaEngine(
        servable_of(head),
        "cpu",
        lock=Lock(),
        precision=precision,
        batch_sizes=SIZES,
        streams=streams or LateDevice(),
    )


def cpu_engine(head: HeadSpec | None = None) -> TorchEngine:
    return TorchEngine(servable_of(head), "cpu", lock=Lock())


@pytest.mark.parametrize("head", [LinearHead(), MlpHead((16,))], ids=str)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_it_answers_as_the_processor_does(precision: str, head: HeadSpec) -> None:
    """Warmed sizes through graphs, another one without."""
    engine: Engine = late_engine(precision, head=head)

    for count in (1, 2, 3, 4):
        output, expected = engine.run(noise(count)), cpu_engine(head).run(noise(count))
        assert_close(output, expected, PRECISIONS[precision])
        assert output.logits.dtype == output.evidence.dtype == np.float32
    assert isinstance(engine, ProbingEngine)
    assert engine.precision == precision
    assert engine.batches_in_flight == 2


@pytest.mark.parametrize("precision", PRECISIONS)
def test_evidence_adds_up_in_float32_whatever_the_trunk_computes_in(precision: str) -> None:
    """8 bits in the head would miss this by 1e-3."""
    engine = late_engine(precision)
    bias = servable_of().head.bias_of(torch.zeros(1)).numpy()

    output = engine.run(noise(4))

    missed = output.logits - (bias + output.evidence.mean(axis=(2, 3)))
    assert np.abs(missed).max() <= 2e-6 * np.abs(output.logits).max()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_maps_of_probes_are_computed_in_float32_for_the_class_that_is_predicted(precision: str) -> None:
    """A gradient is no place to save bits, and two answers about a picture must not disagree."""
    engine, images = late_engine(precision), noise(2)
    unsettled = Probe(method="gradcam", layers=("layer2",))
    found = engine.probe(images, [PROBE, unsettled])
    predicted = Target(class_index=int(found.logits[1].argmax()))
    expected = cpu_engine().probe(images, [PROBE, replace(unsettled, target=predicted)])

    assert np.array_equal(found.logits, engine.run(images).logits)
    assert np.array_equal(found.evidence, engine.run(images).evidence)
    for one, other in zip(found.answers, expected.answers, strict=True):
        assert np.array_equal(one.maps[0], other.maps[0])


def test_whole_pictures_of_any_size_run_beside_the_graphs() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (50, 70, 3), dtype=np.uint8)

    assert_close(late_engine().view(picture), cpu_engine().view(picture), 1e-6)


def test_many_threads_get_what_one_gets() -> None:
    """Through graphs, eagerly and with probes at the same time.

    Not bit for bit: each thread has its own number of torch threads, and other sums in float32. Another batch's answer is
    a thousand times farther away.
    """
    engine = late_engine("bfloat16")
    batches = [noise(1 + seed % 4, seed) for seed in range(24)]
    alone = [engine.run(batch) for batch in batches]
    probed = engine.probe(batches[0], [PROBE])

    with ThreadPoolExecutor(6) as pool:
        probing = [pool.submit(engine.probe, batches[0], [PROBE]) for _ in range(4)]
        together = list(pool.map(engine.run, batches))

    for found, expected in zip(together, alone, strict=True):
        assert_close(found, expected, 1e-6)
    for mixed_up, expected in zip(alone[4:], alone, strict=False):
        with pytest.raises(AssertionError):
            assert_close(mixed_up, expected, 1e-3)
    for probe in probing:
        assert_maps_close(probe.result(), probed)


def assert_maps_close(found: ProbeOutput, expected: ProbeOutput) -> None:
    for one, other in zip(found.answers, expected.answers, strict=True):
        np.testing.assert_allclose(
            one.maps[0], other.maps[0], rtol=0, atol=1e-5 * np.abs(other.maps[0]).max()
        )


FAULT = RuntimeError("CUDA error: unspecified launch failure\nCompile with TORCH_USE_CUDA_DSA")


def test_device_that_answers_no_more_is_lost_for_good() -> None:
    """Every call says so at once, without asking it again."""
    streams = LateDevice()
    engine = late_engine(streams=streams)
    streams.fault, streams.has_fallen = FAULT, True

    with pytest.raises(DeviceLost, match=r"^CUDA error: unspecified launch failure$") as lost:
        engine.run(noise(2))
    assert lost.value.__cause__ is FAULT
    streams.fault = None
    for call in (
        lambda: engine.run(noise(2)),
        lambda: engine.run(noise(3)),
        lambda: engine.probe(noise(1), [PROBE]),
        lambda: engine.view(noise(1)[0]),
    ):
        with pytest.raises(DeviceLost):
            call()
    engine.close()


@pytest.mark.parametrize(
    "error",
    [
        FAULT,
        torch.AcceleratorError("CUDA error: invalid argument"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("ours"),
    ],
    ids=str,
)
def test_error_after_which_the_device_answers_is_the_batchs_own(error: RuntimeError) -> None:
    """Such as memory that ran out: smaller batches go on."""
    streams = LateDevice()
    engine = late_engine(streams=streams)
    streams.fault = error

    with pytest.raises(RuntimeError) as raised:
        engine.run(noise(2))
    assert raised.value is error

    streams.fault = None
    assert_close(engine.run(noise(2)), cpu_engine().run(noise(2)), 1e-6)


def test_memory_that_ran_out_does_not_lose_a_device_even_if_it_hangs() -> None:
    """It is not even asked."""
    streams = LateDevice()
    engine = late_engine(streams=streams)
    streams.fault, streams.has_fallen = torch.OutOfMemoryError("CUDA out of memory"), True

    with pytest.raises(torch.OutOfMemoryError):
        engine.run(noise(2))


def test_a_closed_engine_runs_no_more() -> None:
    engine = late_engine()
    engine.close()
    engine.close()

    for count in (2, 3):
        with pytest.raises(RuntimeError, match="closed"):
            engine.run(noise(count))


def test_a_closed_engine_holds_no_weights_though_somebody_holds_them() -> None:
    """A traced network is a cycle of references; on a device, waiting for the collector is a leak."""
    servable = servable_of()
    engine = CudaEngine(
        servable, "cpu", lock=Lock(), precision="bfloat16", batch_sizes=SIZES, streams=LateDevice()
    )
    engine.close()

    assert all(tensor.numel() == 0 for tensor in servable.state_dict().values())


def test_trunk_is_reduced_beside_the_one_in_float32() -> None:
    trunk = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()

    half = reduced(trunk, torch.bfloat16, torch.ones(1, 3, 8, 8))

    assert half(torch.ones(1, 3, 8, 8, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert next(trunk.parameters()).dtype == torch.float32


def test_precision_that_cuda_does_not_have_is_refused_with_those_it_has() -> None:
    assert cuda_precisions("float16", "cuda:0") == ("float16",)
    with pytest.raises(SettingsInvalid, match="auto, float32, bfloat16, float16"):
        cuda_precisions("int8", "cuda:0")
