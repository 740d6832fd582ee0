"""Which engine a bundle gets, and where its OpenVINO form comes from."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from support.bundles import write_random_bundle
from support.pictures import picture_file

from app.bundles.exported import read_exported
from app.bundles.repository import Bundle, open_bundle
from app.engines.openvino_engine import OpenVinoEngine, cpu_computes_bfloat16
from app.errors import ExportFailed, SettingsInvalid
from app.exporting.export import export_bundle
from app.settings import Settings
from app.wiring import Machine, Proved, prove
from app.wiring.forms import float32_form

GOLDEN = {"a.jpg": picture_file(1), "b.png": picture_file(2, "PNG")}


def bundle_in(folder: Path, seed: int = 0) -> Bundle:
    return write_random_bundle(folder / "models", golden=GOLDEN, seed=seed)


def proved(bundle: Bundle, machine: Machine) -> Proved:
    found = prove(bundle.folder, machine=machine, batch_sizes=(1, 2), max_pixels=10**7)
    found.engine.close()
    return found


def machine(cache: Path, **options: object) -> Machine:
    return Machine("cpu", cache=cache, **options)  # type: ignore[arg-type]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_cpu_runs_openvino_and_the_golden_images_prove_it(tmp_path: Path) -> None:
    """Recorded by torch, held by OpenVINO."""
    found = proved(bundle_in(tmp_path), machine(tmp_path / "cache", precision="float32"))

    assert (found.engine.runtime, found.engine.device) == ("openvino", "cpu")
    assert found.proof.golden is not None
    assert found.proof.golden.max_probability_difference < 1e-4
    assert found.proof.sum_rule_error < 1e-5
    assert found.proof.warnings == ()


def test_bfloat16_is_taken_where_the_cpu_has_it_and_the_golden_images_hold(tmp_path: Path) -> None:
    found = proved(bundle_in(tmp_path), machine(tmp_path / "cache", precision="auto"))

    assert found.engine.precision == ("bfloat16" if cpu_computes_bfloat16() else "float32")
    assert found.proof.golden is not None
    assert found.proof.golden.holds


def test_torch_is_taken_where_it_is_asked_for(tmp_path: Path) -> None:
    """And nothing is converted."""
    found = proved(bundle_in(tmp_path), machine(tmp_path / "cache", runtime="torch"))

    assert found.engine.runtime == "torch"
    assert not (tmp_path / "cache").exists()


def test_network_is_converted_once_and_other_weights_are_another_form(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = float32_form(bundle_in(tmp_path / "one"), cache, threading.Event())
    times = {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}

    again = float32_form(bundle_in(tmp_path / "copy"), cache, threading.Event())
    other = float32_form(bundle_in(tmp_path / "two", seed=1), cache, threading.Event())

    assert again == first
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    assert other.graph != first.graph
    assert names(first.graph.parent) == ["float32.bin", "float32.json", "float32.xml"]


def _convert(folder: Path, cache: Path) -> None:
    float32_form(open_bundle(folder), cache, threading.Event())


@pytest.mark.slow  # two imports of torch
def test_two_servers_that_convert_at_once_both_get_a_whole_form(tmp_path: Path) -> None:
    """Neither sees the other's half; nothing is left over."""
    bundle, cache = bundle_in(tmp_path), tmp_path / "cache"
    spawned = multiprocessing.get_context("spawn")
    servers = [spawned.Process(target=_convert, args=(bundle.folder, cache)) for _ in range(2)]
    for server in servers:
        server.start()
    for server in servers:
        server.join(300)

    assert [server.exitcode for server in servers] == [0, 0]
    assert names(cache) == ["float32.bin", "float32.json", "float32.xml"]
    assert len(list((cache / "openvino").iterdir())) == 1


@pytest.mark.parametrize(
    ("damage", "is_there"),
    [
        ("float32.bin", False),
        ("float32.json", True),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ("float32.bin", True),
                ("float32.json", False),
                ("float32.xml", True),
                ("float32.xml", False),
            )
        ),
    ],
)
def test_damaged_cache_is_made_again(tmp_path: Path, damage: str, *, is_there: bool) -> None:
    """Also where somebody has cleaned up file by file."""
    bundle, cache = bundle_in(tmp_path), tmp_path / "cache"
    form = float32_form(bundle, cache, threading.Event())
    file = form.graph.parent / damage
    whole = file.read_bytes()
    file.unlink()
    if is_there:
        file.write_bytes(whole[:-7])

    again = float32_form(bundle, cache, threading.Event())

    assert again.facts == form.facts
    assert proved(bundle, machine(cache)).engine.runtime == "openvino"


def test_form_in_the_bundle_is_taken_and_the_cache_stays_empty(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path)
    (bundle.folder / "openvino").mkdir()
    export_bundle(bundle, bundle.folder / "openvino")

    found = proved(bundle, machine(tmp_path / "cache"))

    assert found.engine.runtime == "openvino"
    assert not (tmp_path / "cache").exists()
    assert found.bundle.digest == bundle.digest


def test_form_of_other_weights_is_never_run(tmp_path: Path) -> None:
    """A form that was copied from another version would answer something else."""
    bundle, other = bundle_in(tmp_path / "one"), bundle_in(tmp_path / "two", seed=1)
    (bundle.folder / "openvino").mkdir()
    export_bundle(other, bundle.folder / "openvino")

    with pytest.raises(ExportFailed, match="other weights"):
        prove(
            bundle.folder,
            machine=machine(tmp_path / "cache", runtime="openvino"),
            batch_sizes=(1,),
            max_pixels=10**7,
        )


def test_form_behind_a_link_out_of_the_bundle_is_never_run(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    export_bundle(bundle, outside)
    (bundle.folder / "openvino").symlink_to(outside)

    with pytest.raises(ExportFailed, match="leaves the bundle"):
        proved(bundle, machine(tmp_path / "cache", runtime="openvino"))


def test_form_whose_numbers_were_changed_is_never_run(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path)
    folder = bundle.folder / "openvino"
    folder.mkdir()
    export_bundle(bundle, folder)
    numbers = bytearray((folder / "float32.bin").read_bytes())
    numbers[len(numbers) // 2] ^= 1
    (folder / "float32.bin").write_bytes(numbers)

    with pytest.raises(ExportFailed, match="SHA-256"):
        read_exported(folder, bundle, "float32")


def test_form_that_answers_otherwise_is_caught_by_the_sum_rule_or_the_golden_images(tmp_path: Path) -> None:
    """A forged record whose sums fit: the numbers are another network's."""
    bundle, other = bundle_in(tmp_path / "one"), bundle_in(tmp_path / "two", seed=1)
    own, foreign = bundle.folder / "openvino", tmp_path / "foreign"
    own.mkdir()
    foreign.mkdir()
    export_bundle(bundle, own)
    export_bundle(other, foreign)
    record, theirs = (json.loads((folder / "float32.json").read_text()) for folder in (own, foreign))
    record |= {"files_sha256": theirs["files_sha256"]}
    for name in ("float32.xml", "float32.bin"):
        shutil.copy(foreign / name, own / name)
    (own / "float32.json").write_text(json.dumps(record))

    with pytest.raises(Exception, match=r"golden images do not hold|misses the logits"):
        prove(
            bundle.folder,
            machine=machine(tmp_path / "cache", runtime="openvino"),
            batch_sizes=(1,),
            max_pixels=10**7,
        )


def test_cache_that_cannot_be_written_means_torch_and_says_so(tmp_path: Path) -> None:
    """Or a refusal, where OpenVINO was asked for by name."""
    bundle = bundle_in(tmp_path)
    (tmp_path / "file").write_text("in the way")

    found = proved(bundle, machine(tmp_path / "file" / "cache"))

    assert found.engine.runtime == "torch"
    assert any("LINESIDE_CACHE_FOLDER" in warning for warning in found.proof.warnings)
    with pytest.raises(ExportFailed, match="LINESIDE_CACHE_FOLDER"):
        proved(bundle, machine(tmp_path / "file" / "cache", runtime="openvino"))


def test_what_a_killed_server_left_of_a_form_is_cleared_away(tmp_path: Path) -> None:
    """But not what another one still makes."""
    bundle, cache = bundle_in(tmp_path), tmp_path / "cache"
    place = float32_form(bundle, cache, threading.Event()).graph.parent
    old, young = (place.with_name(f".{place.name}.writing-{name}") for name in ("01234567", "89abcdef"))
    for folder in (old, young):
        folder.mkdir()
    shutil.rmtree(place)
    os.utime(old, (0, 0))

    float32_form(bundle, cache, threading.Event())

    assert sorted(path.name for path in place.parent.iterdir()) == sorted([young.name, place.name])


def test_server_that_stops_does_not_wait_for_a_conversion(tmp_path: Path) -> None:
    """A child process is ended and nothing of it is left."""
    bundle, cache = bundle_in(tmp_path), tmp_path / "cache"
    code = (
        "import sys, threading; from pathlib import Path; from app.bundles.repository import open_bundle;"
        "from app.wiring.forms import float32_form; stop = threading.Event(); stop.set();"
        f"float32_form(open_bundle(Path({str(bundle.folder)!r})), Path({str(cache)!r}), stop)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert "ShuttingDown" in ended.stderr
    assert names(cache) == []


def converting(tmp_path: Path, broken: str, *, server_stops: bool = False) -> str:
    """What a process writes that converts a bundle by a child whose torch is `broken`."""
    bundle, package = bundle_in(tmp_path), tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text(broken, "utf-8")
    stops = "stop.wait = lambda timeout: True;" if server_stops else ""  # while somebody waits for it
    code = (
        "import threading; from pathlib import Path; from app.bundles.repository import open_bundle;"
        f"from app.wiring.forms import float32_form; stop = threading.Event(); {stops}"
        f"float32_form(open_bundle(Path({str(bundle.folder)!r})), Path({str(tmp_path)!r}), stop)"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    ended = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    return ended.stderr


def test_conversion_that_breaks_down_is_not_the_bundles_fault(tmp_path: Path) -> None:
    """Torch serves the model then; Python's own exit code says that something was raised, not what."""
    said = converting(tmp_path, "raise ImportError('broken')")

    assert "ImportError: broken" in said
    assert "app.errors.ExportFailed: its conversion for OpenVINO ended unexpectedly" in said


def test_conversion_that_is_killed_says_so_and_logs_no_empty_cause(tmp_path: Path) -> None:
    """By the kernel, for want of memory, for instance."""
    said = converting(tmp_path, "import os; os.kill(os.getpid(), 9)")

    assert "app.errors.ExportFailed: its conversion for OpenVINO was killed" in said
    assert "said:" not in said


def test_conversion_that_the_servers_own_stop_ended_is_no_failure(tmp_path: Path) -> None:
    """Ctrl-C and systemd tell all processes at once: the child ends while the server still answers for its grace."""
    said = converting(tmp_path, "import os; os.kill(os.getpid(), 15)", server_stops=True)

    assert "app.errors.ShuttingDown" in said
    assert "said:" not in said


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
        machine=machine(tmp_path / "cache", threads=threads, layer_maps="off"),
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
            machine=machine(tmp_path / "cache", layer_maps=choice),
            batch_sizes=(1,),
            max_pixels=10**7,
        )
        found.engine.run(images)
        prepared[choice] = getattr(found.engine, "is_prepared", None)
        found.engine.close()

    assert prepared == {"on_demand": False, "at_start": True, "off": None}
