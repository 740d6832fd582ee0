"""Where converted networks are kept when nobody says where, and how those that nobody uses go away."""

import gc
import logging
import os
import tempfile
import time
from pathlib import Path

import pytest
from support.rights import as_somebody_else, open_to_others
from support.server import test_settings

from app.errors import ExportFailed
from app.wiring import Wiring
from app.wiring.cache import DAY_S, Cleared, FormCache, default_cache


def temporary(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """The cache of a user whose home is not there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "file" / "no"))
    (folder / "file").write_text("in the way")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder / f"lineside-{os.getuid()}"


def test_temporary_cache_is_the_users_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And said once: a volume that belongs to somebody else meant a conversion at every start, which nothing told."""
    caplog.set_level(logging.WARNING)
    wanted = temporary(monkeypatch, tmp_path)
    cache = FormCache()
    assert cache.forms == cache.forms == wanted / "openvino"
    assert caplog.text.count("set LINESIDE_CACHE_FOLDER") == 1

    assert default_cache() == wanted
    assert wanted.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("trap", ["everybody writes", "link", "another user's"])
def test_temporary_folder_that_others_may_write_to_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    """A network that lies there under this one's name would answer for it."""
    place, other = temporary(monkeypatch, tmp_path), tmp_path / "other"
    (other if trap == "link" else place).mkdir()
    if trap == "link":
        place.symlink_to(other)
    elif trap == "everybody writes":
        place.chmod(0o777)
    else:
        somebody = os.getuid() + 1
        monkeypatch.setattr(os, "getuid", lambda: somebody)
        place.rename(place.parent / f"lineside-{os.getuid()}")

    with pytest.raises(ExportFailed, match="LINESIDE_CACHE_FOLDER"):
        default_cache()


def test_user_without_a_home_has_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = temporary(monkeypatch, tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda _uid: {}["no such user"])

    assert default_cache() == wanted


def form_in(
    folder: Path, name: str = "a" * 32 + "-0.1.0-openvino2026.4.1", *, unused_days: float = 0
) -> Path:
    """As large as a thousand bytes."""
    form = folder / "openvino" / name
    form.mkdir(parents=True)
    (form / "float32.bin").write_bytes(bytes(1000))
    age(form, unused_days)
    return form


def age(form: Path, days: float) -> None:
    os.utime(form, (time.time() - days * DAY_S,) * 2)


def days_since_use(form: Path) -> int:
    return round((time.time() - form.stat().st_mtime) / DAY_S)


def test_what_nobody_used_for_long_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    """Nor ever what is not ours, should somebody have named a folder of his own."""
    old = form_in(tmp_path, unused_days=31)
    young = form_in(tmp_path, "b" * 32 + "-" + "c" * 32, unused_days=29)
    foreign = form_in(tmp_path, "photographs", unused_days=400)
    beside = tmp_path / "model"
    beside.mkdir()
    age(beside, 400)

    assert FormCache(tmp_path).clear(unused_days=30) == Cleared(1, 1000)

    assert not old.exists()
    assert sorted(path.name for path in (tmp_path / "openvino").iterdir()) == sorted(
        [young.name, foreign.name]
    )
    assert beside.exists()


def test_use_is_marked_at_its_beginning_and_at_its_end(tmp_path: Path) -> None:
    """A server that ran for a year used its networks until today, whatever the next one serves."""
    form = form_in(tmp_path, unused_days=365)
    cache = FormCache(tmp_path)

    assert cache.use(form)
    assert days_since_use(form) == 0
    age(form, 365)
    del cache
    gc.collect()

    assert days_since_use(form) == 0


def test_what_a_running_server_has_loaded_stays_however_long_it_runs(tmp_path: Path) -> None:
    """Each process has a cache of its own; the locks of two are as those of two processes."""
    form = form_in(tmp_path)
    running, other = FormCache(tmp_path), FormCache(tmp_path)
    running.use(form)
    running.use(form)
    age(form, 365)

    assert other.clear(unused_days=30) == running.clear(unused_days=30) == Cleared(0, 0)
    del running
    gc.collect()
    age(form, 365)

    assert other.clear(unused_days=30) == Cleared(1, 1000)


def test_form_that_is_not_there_or_goes_away_is_not_used(tmp_path: Path) -> None:
    """It is made anew then, and not opened when it is gone."""
    fcntl = pytest.importorskip("fcntl")
    form, cache = form_in(tmp_path), FormCache(tmp_path)
    folder = os.open(form, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)  # as who clears it

    assert not cache.use(form)
    os.close(folder)
    assert cache.use(form)
    assert not cache.use(form.with_name("none"))


def test_what_killed_processes_left_is_cleared_but_not_what_is_being_made(tmp_path: Path) -> None:
    """Also of a network that nobody will ever ask for again."""
    left = form_in(tmp_path, f".{'a' * 32}-0.1.0.writing-01234567", unused_days=1)
    in_the_making = form_in(tmp_path, f".{'b' * 32}-0.1.0.writing-89abcdef")

    FormCache(tmp_path).clear(unused_days=30)

    assert not left.exists()
    assert in_the_making.exists()


def test_other_users_form_stays_whole() -> None:
    """Who may take its name but not its files would leave a nameless heap."""
    if os.geteuid():
        pytest.skip("needs two users")
    with open_to_others() as folder:
        form = form_in(folder, unused_days=365)
        (folder / "openvino").chmod(0o777)
        with as_somebody_else():
            assert FormCache(folder).clear(unused_days=30) == Cleared(0, 0)
            assert FormCache(folder).use(form)

        assert (form / "float32.bin").exists()


async def test_server_clears_the_cache_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As many days as the setting says."""
    caplog.set_level(logging.INFO)
    form_in(tmp_path / "cache", unused_days=8)
    younger = form_in(tmp_path / "cache", "b" * 32 + "-" + "c" * 32, unused_days=6)
    (tmp_path / "models").mkdir()
    wiring = Wiring(test_settings(tmp_path / "models", cache_folder=tmp_path / "cache", cache_unused_days=7))
    await wiring.load_models()
    await wiring.close(timeout_s=1.0)

    assert list((tmp_path / "cache" / "openvino").iterdir()) == [younger]
    assert "cleared 1 converted network (0 MB) from the cache, unused for 7 days" in caplog.text
