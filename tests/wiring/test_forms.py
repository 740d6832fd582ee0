"""Which engine a bundle gets, and which form of its network is run."""

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.wired import bundle_in, machine, proved
from wiring.conftest import FormOf

from app.bundles.exported import read_exported
from app.bundles.repository import Bundle
from app.engines.base import ProbingEngine
from app.engines.openvino_engine import OpenVinoEngine, cpu_computes_bfloat16
from app.errors import ExportFailed, NotReady, SettingsInvalid
from app.settings import Settings
from app.wiring import Machine, prove


def test_cpu_runs_openvino_and_the_golden_images_prove_it(tmp_path: Path) -> None:
    """Recorded by torch, held by OpenVINO."""
    found = proved(bundle_in(tmp_path), machine(precision="float32"))

    assert (found.engine.runtime, found.engine.device) == ("openvino", "cpu")
    assert found.proof.golden is not None
    assert found.proof.golden.max_probability_difference < 1e-4
    assert found.proof.sum_rule_error < 1e-5
    assert found.proof.warnings == ()


def test_bfloat16_is_taken_where_the_cpu_has_it_and_the_golden_images_hold(tmp_path: Path) -> None:
    found = proved(bundle_in(tmp_path), machine(precision="auto"))

    assert found.engine.precision == ("bfloat16" if cpu_computes_bfloat16() else "float32")
    assert found.proof.golden is not None
    assert found.proof.golden.holds


def test_torch_is_taken_where_it_is_asked_for(tmp_path: Path) -> None:
    """And nothing is converted."""
    found = proved(bundle_in(tmp_path), machine(tmp_path / "cache", runtime="torch"))

    assert found.engine.runtime == "torch"
    assert not (tmp_path / "cache").exists()


@pytest.fixture
def exported(tmp_path: Path, form_of: FormOf) -> Bundle:
    """A bundle that brings its form."""
    bundle = bundle_in(tmp_path)
    shutil.copytree(form_of(0), bundle.folder / "openvino")
    return bundle


def test_form_in_the_bundle_is_taken_and_nothing_is_converted(exported: Bundle, tmp_path: Path) -> None:
    found = proved(exported, machine(tmp_path / "cache"))

    assert found.engine.runtime == "openvino"
    assert found.bundle.digest == exported.digest
    (kept,) = (tmp_path / "cache" / "openvino").iterdir()
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {
        path.name: path.read_bytes() for path in (exported.folder / "openvino").iterdir()
    }


@pytest.mark.parametrize("new", [bytes, lambda _: b""], ids=["zeros", "nothing"])
def test_what_is_copied_over_the_form_changes_no_answer(
    new: Callable[[int], bytes], exported: Bundle, tmp_path: Path
) -> None:
    """`cp` writes into the same file, which OpenVINO maps; a shorter one would end the process."""
    found = prove(exported.folder, machine=machine(tmp_path / "cache"), batch_sizes=(1,), max_pixels=10**7)
    engine, size = found.engine, found.engine.input_size
    images = np.full((1, size.height, size.width, 3), 90, np.uint8)
    before = engine.run(images)

    numbers = exported.folder / "openvino" / "float32.bin"
    with numbers.open("r+b") as file:
        length = numbers.stat().st_size
        file.truncate(0)
        file.write(new(length))
    after = engine.run(images)
    engine.close()

    assert np.array_equal(before.logits, after.logits)
    assert np.array_equal(before.evidence, after.evidence)


def test_copy_in_the_cache_that_was_damaged_is_made_again(exported: Bundle, tmp_path: Path) -> None:
    proved(exported, machine(tmp_path / "cache"))
    (kept,) = (tmp_path / "cache" / "openvino").iterdir()
    (kept / "float32.bin").write_bytes(b"no numbers")

    proved(exported, machine(tmp_path / "cache"))

    assert (kept / "float32.bin").read_bytes() == (exported.folder / "openvino" / "float32.bin").read_bytes()


def test_form_is_used_where_it_lies_if_no_copy_can_be_kept(
    exported: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A box whose disk is read-only serves, and says what nobody may do."""
    (tmp_path / "cache").write_bytes(b"no folder")
    caplog.set_level(logging.WARNING)  # a server of another test may have left a higher one

    found = proved(exported, machine(tmp_path / "cache"))

    assert found.engine.runtime == "openvino"
    assert "nothing may be copied over it" in caplog.text


def test_form_of_other_weights_is_never_run(tmp_path: Path, form_of: FormOf) -> None:
    """A form that was copied from another version would answer something else."""
    bundle = bundle_in(tmp_path)
    shutil.copytree(form_of(1), bundle.folder / "openvino")

    with pytest.raises(ExportFailed, match="other weights"):
        prove(
            bundle.folder,
            machine=machine(tmp_path / "cache", runtime="openvino"),
            batch_sizes=(1,),
            max_pixels=10**7,
        )


def test_form_behind_a_link_out_of_the_bundle_is_never_run(tmp_path: Path, form_of: FormOf) -> None:
    bundle = bundle_in(tmp_path)
    (bundle.folder / "openvino").symlink_to(form_of(0))

    with pytest.raises(ExportFailed, match="leaves the bundle"):
        proved(bundle, machine(tmp_path / "cache", runtime="openvino"))


def test_form_whose_numbers_were_changed_is_never_run(exported: Bundle) -> None:
    folder = exported.folder / "openvino"
    numbers = bytearray((folder / "float32.bin").read_bytes())
    numbers[len(numbers) // 2] ^= 1
    (folder / "float32.bin").write_bytes(numbers)

    with pytest.raises(ExportFailed, match="SHA-256"):
        read_exported(folder, exported, "float32")


def test_form_that_answers_otherwise_is_caught_by_the_sum_rule_or_the_golden_images(
    exported: Bundle, form_of: FormOf, tmp_path: Path
) -> None:
    """A forged record whose sums fit: the numbers are another network's."""
    own, foreign = exported.folder / "openvino", form_of(1)
    record, theirs = (json.loads((folder / "float32.json").read_text()) for folder in (own, foreign))
    record |= {"files_sha256": theirs["files_sha256"]}
    for name in ("float32.xml", "float32.bin"):
        shutil.copy(foreign / name, own / name)
    (own / "float32.json").write_text(json.dumps(record))

    with pytest.raises(Exception, match=r"golden images do not hold|misses the logits"):
        prove(
            exported.folder,
            machine=machine(tmp_path / "cache", runtime="openvino"),
            batch_sizes=(1,),
            max_pixels=10**7,
        )


def test_engines_and_precisions_that_are_not_there_are_told_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="LINESIDE_PRECISION"):
        Machine.of(Settings(device="cpu", engine="torch", precision="int8"))
    if not cpu_computes_bfloat16():
        with pytest.raises(SettingsInvalid, match="bfloat16"):
            Machine.of(Settings(device="cpu", precision="bfloat16"))
    with pytest.raises(ExportFailed, match="lineside quantize line"):
        proved(bundle_in(tmp_path), machine(tmp_path / "cache", precision="int8"))


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_of_a_forward_pass_are_those_that_were_asked_for(tmp_path: Path, threads: int) -> None:
    """OpenVINO itself says how many it uses."""
    found = prove(
        bundle_in(tmp_path).folder,
        machine=machine(threads=threads, layer_maps="off"),
        batch_sizes=(1,),
        max_pixels=10**7,
    )

    assert isinstance(found.engine, OpenVinoEngine)
    assert found.engine.thread_count == threads
    found.engine.close()


def test_layer_maps_come_from_torch_unless_they_are_off(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path)
    images = np.zeros((1, 48, 64, 3), np.uint8)
    prepared = {}
    for choice in ("on_demand", "at_start", "off"):
        found = prove(
            bundle.folder,
            machine=machine(layer_maps=choice),
            batch_sizes=(1,),
            max_pixels=10**7,
        )
        found.engine.run(images)
        prepared[choice] = getattr(found.engine, "is_prepared", None)
        found.engine.close()

    assert prepared == {"on_demand": False, "at_start": True, "off": None}


def test_question_about_layers_waits_for_a_free_descriptor(tmp_path: Path) -> None:
    """An import of torch that broke off for want of one could not be begun again."""
    resource = pytest.importorskip("resource")
    found = prove(bundle_in(tmp_path).folder, machine=machine(), batch_sizes=(1,), max_pixels=10**7)
    engine = found.engine
    assert isinstance(engine, ProbingEngine)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, hard))
    try:
        with pytest.raises(NotReady, match="ulimit -n"):
            engine.prepare()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.close(free)
    engine.prepare()

    assert engine.is_prepared
    engine.close()


def test_layers_of_other_weights_than_those_that_predict_are_not_shown(tmp_path: Path) -> None:
    """Torch is loaded when somebody first asks; by then a new model may lie in the bundle's place."""
    bundle, other = bundle_in(tmp_path), bundle_in(tmp_path / "other", seed=1)
    engine = prove(bundle.folder, machine=machine(), batch_sizes=(1,), max_pixels=10**7).engine
    assert isinstance(engine, ProbingEngine)
    old = bundle.weights_path.read_bytes()
    bundle.weights_path.write_bytes(other.weights_path.read_bytes())

    with pytest.raises(NotReady, match="changed on the disk since"):
        engine.prepare()
    bundle.weights_path.unlink()
    with pytest.raises(NotReady, match=r"weights of line version 1 .* or are gone"):
        engine.prepare()
    bundle.weights_path.write_bytes(old)
    engine.prepare()

    assert engine.is_prepared
    engine.close()
