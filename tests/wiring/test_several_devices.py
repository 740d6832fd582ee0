"""A bundle on several devices, and what settings say of devices; the CPU stands for each of them."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.bundles import write_random_bundle
from support.pictures import picture_file
from support.server import test_settings

from app.errors import BundleRefused, SettingsInvalid
from app.serving.deployment import Deployment
from app.settings import Settings
from app.wiring.deploy import deploy
from app.wiring.machine import Machine
from app.wiring.proof import prove

TORCH = Machine("cpu", "torch")
GOLDEN = {"a.jpg": picture_file(1)}


def deployed(folder: Path, machines: list[Machine], fallback: Machine | None = None) -> Deployment:
    return deploy(folder, machines, fallback, test_settings(folder), on_batch=lambda _size: None)


async def test_bundle_proves_itself_on_every_device_and_all_of_them_answer(tmp_path: Path) -> None:
    """Behind one queue, with the same numbers."""
    bundle = write_random_bundle(tmp_path, golden=GOLDEN)
    deployment = await asyncio.to_thread(deployed, bundle.folder, [TORCH, Machine("cpu", "torch")], TORCH)
    size = deployment.engine.input_size
    images = np.random.default_rng(0).integers(0, 256, (20, size.height, size.width, 3), dtype=np.uint8)
    try:
        assert deployment.device == "cpu, cpu"
        answers = await asyncio.gather(*(deployment.infer(one, time.monotonic() + 30) for one in images))

        expected = deployment.engine.run(images).logits
        assert np.allclose([answer.logits for answer in answers], expected, rtol=1e-4, atol=1e-5)
        assert deployment.fault() is None
        assert deployment.outages() == ()
    finally:
        assert await deployment.close(timeout_s=10)


async def test_answers_do_not_depend_on_the_batch_they_rode_in(tmp_path: Path) -> None:
    """On an engine that is said to take any batch in the same time, so that entries run together."""
    proved = await asyncio.to_thread(
        prove,
        write_random_bundle(tmp_path, golden=GOLDEN).folder,
        machine=TORCH,
        batch_sizes=(1, 2, 4),
        max_pixels=10**7,
    )
    deployment = Deployment(
        proved.bundle,
        proved.engine,
        replace(proved.proof, latency_s=dict.fromkeys((1, 2, 4), 0.001)),
        batch_sizes=(1, 2, 4),
        max_entries=100,
        max_bytes=10**8,
        max_image_pixels=10**7,
        max_view_pixels=10**6,
        worker_stall_s=30.0,
        on_batch=lambda _size: None,
    )
    size = deployment.engine.input_size
    images = np.random.default_rng(0).integers(0, 256, (20, size.height, size.width, 3), dtype=np.uint8)
    try:
        alone = [await deployment.infer(one, time.monotonic() + 30) for one in images]
        crowd = await asyncio.gather(*(deployment.infer(one, time.monotonic() + 30) for one in images))

        assert {answer.batch_size for answer in alone} == {1}
        assert max(answer.batch_size for answer in crowd) == 4
        for one, other in zip(alone, crowd, strict=True):
            assert np.allclose(one.logits, other.logits, rtol=1e-5, atol=1e-5)
    finally:
        assert await deployment.close(timeout_s=10)


def test_bundle_that_one_device_cannot_serve_is_refused_whole(tmp_path: Path) -> None:
    """No model is ready on half of what was asked for."""
    bundle = write_random_bundle(tmp_path, golden=GOLDEN)

    with pytest.raises(BundleRefused, match="no int8 form"):
        deployed(bundle.folder, [TORCH, Machine("cpu", "openvino", "int8")])


def test_settings_name_one_device_or_several() -> None:
    assert [machine.device for machine in Machine.all_of(Settings(device="cpu"))] == ["cpu"]
    for device in ("cpu,cpu", "cuda:0,cuda:900", "gpu", "cpu,"):
        with pytest.raises(SettingsInvalid):
            Machine.all_of(Settings(device=device))


def test_machines_of_one_server_stop_together_and_take_turns_apart() -> None:
    """The turns on a device are its own; the word to stop is everybody's."""
    spare = TORCH.fallback()

    assert spare.stopping is TORCH.stopping
    assert spare.turns is not TORCH.turns


def test_fallback_answers_what_the_devices_did_even_where_layer_maps_are_off() -> None:
    """CUDA engines always have them."""
    assert Machine("cuda:0", layer_maps="off").fallback().layer_maps == "on_demand"
    assert Machine("cuda:0", layer_maps="at_start", precision="float16").fallback().precision == "auto"


@pytest.mark.parametrize(
    ("device", "runtime", "precision"),
    [
        ("cuda:0", "auto", "int8"),
        ("cpu", "auto", "float16"),
        ("cpu", "torch", "bfloat16"),
        ("cuda:0", "openvino", "auto"),
    ],
)
def test_precision_and_engine_that_a_device_does_not_have_are_refused(
    device: str, runtime: str, precision: str
) -> None:
    with pytest.raises(SettingsInvalid, match="auto"):
        Machine(device, runtime, precision).check()  # type: ignore[arg-type]


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16", "float16"])
def test_cuda_has_the_float_precisions(precision: str) -> None:
    Machine("cuda:0", precision=precision).check()  # type: ignore[arg-type]


@pytest.mark.gpu
async def test_cuda_model_serves_in_a_precision_that_its_golden_images_hold(tmp_path: Path) -> None:
    """With the CPU behind it; which precision was taken is told."""
    bundle = write_random_bundle(tmp_path, golden=GOLDEN)
    machine = Machine("cuda:0")
    deployment = await asyncio.to_thread(deployed, bundle.folder, [machine], machine.fallback())
    size = deployment.engine.input_size
    try:
        answer = await deployment.infer(
            np.zeros((size.height, size.width, 3), np.uint8), time.monotonic() + 30
        )

        assert deployment.device == "cuda:0"
        assert deployment.engine.precision in {"bfloat16", "float16", "float32"}
        assert np.isfinite(answer.logits).all()
    finally:
        assert await deployment.close(timeout_s=30)
