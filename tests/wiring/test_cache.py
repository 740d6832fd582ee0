"""Where converted networks are kept when nobody says where."""

import os
import tempfile
from pathlib import Path

import pytest

from app.errors import ExportFailed
from app.wiring.forms import default_cache


def temporary(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """The cache of a user whose home is not there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "file" / "no"))
    (folder / "file").write_text("in the way")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder / f"lineside-{os.getuid()}"


def test_temporary_cache_is_the_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = temporary(monkeypatch, tmp_path)

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
