"""How a network is converted for OpenVINO: once, whole, by a process that may break down, and kept in a cache."""

import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.disk import files_at_most
from support.wired import bundle_in, machine, names, proved
from wiring.conftest import FormOf

from app.bundles.exported import Exported
from app.bundles.repository import Bundle, open_bundle
from app.errors import ExportFailed
from app.wiring.cache import FormCache
from app.wiring.forms import float32_form


def test_network_is_converted_once_and_other_weights_are_another_form(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    serving = FormCache(cache)
    first = float32_form(bundle_in(tmp_path / "one"), serving, threading.Event())
    times = {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}

    again = float32_form(bundle_in(tmp_path / "copy"), FormCache(cache), threading.Event())
    other = float32_form(bundle_in(tmp_path / "two", seed=1), FormCache(cache), threading.Event())

    assert again == first
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    assert other.graph != first.graph
    for form in (first, other):
        os.utime(form.graph.parent, (0, 0))
    assert FormCache(cache).clear(unused_days=30).forms == 1  # the other one, which nobody serves any more
    assert names(cache) == ["float32.bin", "float32.json", "float32.xml"]
    assert first.graph.exists()


def _convert(folder: Path, cache: Path) -> None:
    float32_form(open_bundle(folder), FormCache(cache), threading.Event())


def test_two_versions_of_one_network_that_load_at_once_are_converted_once(
    tmp_path: Path, form_of: FormOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They took twice the CPU, each in half of the time's share."""
    cache, together, made = FormCache(tmp_path / "cache"), threading.Barrier(2), list[str]()
    versions = [bundle_in(tmp_path / name) for name in ("one", "two")]

    def export(bundle: Bundle, place: Path, _stopping: threading.Event) -> None:
        made.append(str(bundle.folder))
        shutil.copytree(form_of(0), place, dirs_exist_ok=True)

    def load(bundle: Bundle) -> Exported:
        together.wait(30)
        return float32_form(bundle, cache, threading.Event())

    monkeypatch.setattr("app.wiring.forms._export", export)
    form_of(0)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(load, versions)

    assert first.graph == second.graph
    assert len(made) == 1


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
    form = float32_form(bundle, FormCache(cache), threading.Event())
    file = form.graph.parent / damage
    whole = file.read_bytes()
    file.unlink()
    if is_there:
        file.write_bytes(whole[:-7])

    again = float32_form(bundle, FormCache(cache), threading.Event())

    assert again.facts == form.facts
    assert proved(bundle, machine(cache)).engine.runtime == "openvino"


def test_cache_that_cannot_be_written_means_torch_and_says_so(tmp_path: Path) -> None:
    """Or a refusal, where OpenVINO was asked for by name."""
    bundle = bundle_in(tmp_path)
    (tmp_path / "file").write_text("in the way")

    found = proved(bundle, machine(tmp_path / "file" / "cache"))

    assert found.engine.runtime == "torch"
    assert any("LINESIDE_CACHE_FOLDER" in warning for warning in found.proof.warnings)
    with pytest.raises(ExportFailed, match="LINESIDE_CACHE_FOLDER"):
        proved(bundle, machine(tmp_path / "file" / "cache", runtime="openvino"))


def test_full_disk_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO says `basic_ios::clear: iostream error`."""
    bundle = bundle_in(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100_000))

    with (
        files_at_most(100_000),
        pytest.raises(ExportFailed, match=r"has 0\.1 MB left.*LINESIDE_CACHE_FOLDER"),
    ):
        float32_form(bundle, FormCache(tmp_path / "cache"), threading.Event())

    assert names(tmp_path / "cache") == []


def test_what_a_killed_server_left_of_a_form_is_cleared_away(tmp_path: Path) -> None:
    """But not what another one still makes."""
    bundle, cache = bundle_in(tmp_path), tmp_path / "cache"
    place = float32_form(bundle, FormCache(cache), threading.Event()).graph.parent
    old, young = (place.with_name(f".{place.name}.writing-{name}") for name in ("01234567", "89abcdef"))
    for folder in (old, young):
        folder.mkdir()
    shutil.rmtree(place)
    os.utime(old, (0, 0))

    float32_form(bundle, FormCache(cache), threading.Event())

    assert sorted(path.name for path in place.parent.iterdir()) == sorted([young.name, place.name])


def test_server_that_stops_does_not_wait_for_a_conversion(tmp_path: Path) -> None:
    """A child process is ended and nothing of it is left."""
    bundle, cache = bundle_in(tmp_path), tmp_path / "cache"
    code = (
        "import sys, threading; from pathlib import Path; from app.bundles.repository import open_bundle;"
        "from app.wiring.cache import FormCache; from app.wiring.forms import float32_form;"
        "stop = threading.Event(); stop.set();"
        f"float32_form(open_bundle(Path({str(bundle.folder)!r})), FormCache(Path({str(cache)!r})), stop)"
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
        "from app.wiring.cache import FormCache; from app.wiring.forms import float32_form;"
        f"stop = threading.Event(); {stops}"
        f"float32_form(open_bundle(Path({str(bundle.folder)!r})), FormCache(Path({str(tmp_path)!r})), stop)"
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
