"""The folder of converted networks: where it is, who uses which of them, and what nobody used for long is cleared.

a form's folder -> use (marked with the time, held) -> read;   at a server's start: marked long ago, and not held -> cleared

The mark is the folder's time of change. The hold is a shared lock on the folder, which ends with its process however that
ends; who clears takes an exclusive one, gives the folder another name, and only then deletes it. So a server never loses
a form between finding and opening it, and finds either a whole one or none. Knows no networks.
"""

import logging
import os
import re
import shutil
import stat
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

from app.bundles.files import hidden_sibling
from app.errors import ExportFailed

if sys.platform != "win32":
    import fcntl

log = logging.getLogger(__name__)

EXPORT_TIMEOUT_S: Final = 600.0
"""The longest that a form is in the making."""
DAY_S: Final = 24 * 3600.0

OURS: Final = re.compile(r"[0-9a-f]{32}-[^/]+")
"""Of what it was made, and by what; nothing else in the folder is ever deleted."""
HALF_MADE: Final = re.compile(r"\.[0-9a-f]{32}-[^/]+\.writing-[0-9a-f]{8}")


class Cleared(NamedTuple):
    """What was deleted."""

    forms: int
    size_bytes: int


class FormCache:
    """One process's view of it; what this one used, nobody clears until it is let go of.

    Args:
        folder: None: the user's.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._held: dict[Path, int] = {}
        self._making: dict[Path, threading.Lock] = {}
        weakref.finalize(self, _let_go, self._held)  # at the process's end, too

    @cached_property
    def forms(self) -> Path:
        """Has a folder for each form; may not be there yet.

        Raises:
            ExportFailed: there is no place for it.
        """
        return (self._folder or default_cache()) / "openvino"

    def use(self, form: Path) -> bool:
        """Mark a form as used now, and hold it; False where it is not there, or is cleared just now."""
        if sys.platform == "win32":  # nothing is ever cleared there
            return form.is_dir()
        try:
            folder = os.open(form, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return False
        try:
            fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(folder)
            return False
        except OSError:
            pass  # a network drive without locks, on which nobody can take the exclusive one either
        with suppress(OSError):  # another user's, or a disk that is only read
            os.utime(folder)
        if not _is_still(form, folder):
            os.close(folder)
            return False
        with self._lock:
            before = self._held.pop(form, None)
            self._held[form] = folder
        if before is not None:
            os.close(before)
        return True

    def turn(self, form: Path) -> threading.Lock:
        """To be held by who makes this form: another version of its network, loaded meanwhile, then finds it made."""
        with self._lock:
            return self._making.setdefault(form, threading.Lock())

    def clear(self, *, unused_days: int) -> Cleared:
        """Delete what no process holds and none used for so many days, and what killed ones left half made."""
        self.clear_half_made()
        before = time.time() - unused_days * DAY_S
        sizes = [size for form in self._named(OURS) if (size := _cleared(form, before)) is not None]
        return Cleared(len(sizes), sum(sizes))

    def clear_half_made(self) -> None:
        """Delete what killed processes left; what is still being made is younger."""
        for left in self._named(HALF_MADE):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > EXPORT_TIMEOUT_S:
                    shutil.rmtree(left, ignore_errors=True)

    def _named(self, pattern: re.Pattern[str]) -> Iterator[Path]:
        try:
            entries = sorted(self.forms.iterdir())
        except (OSError, ExportFailed):
            return
        yield from (entry for entry in entries if pattern.fullmatch(entry.name))


def _let_go(held: dict[Path, int]) -> None:
    """The end of their use."""
    while held:
        _, folder = held.popitem()
        with suppress(OSError):
            os.utime(folder)
        os.close(folder)


def _is_still(form: Path, folder: int) -> bool:
    """Whether the open folder has that name, or was cleared before it was locked."""
    try:
        return os.path.samestat(form.stat(), os.fstat(folder))
    except OSError:
        return False


def _cleared(form: Path, before: float) -> int | None:
    """Bytes; None where it stays."""
    if sys.platform == "win32":
        return None
    try:
        # Only of what looks old: who looks for it while it is locked would make it anew.
        if form.lstat().st_mtime >= before or not os.access(form, os.W_OK, effective_ids=True):
            return None
        folder = os.open(form, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    hidden = hidden_sibling(form)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(folder).st_mtime >= before:
            return None
        size = sum(file.lstat().st_size for file in form.iterdir())
        form.rename(hidden)
    except OSError:  # somebody holds it
        return None
    finally:
        os.close(folder)
    shutil.rmtree(hidden, ignore_errors=True)
    return size


def default_cache() -> Path:
    """The user's cache folder; a temporary one of the user's where there is none to write to.

    Raises:
        ExportFailed: there is neither.
    """
    if (folder := _home_cache()) is not None:
        return folder
    if (folder := _temporary_cache()) is None:
        raise ExportFailed(
            "there is no folder of this user's to keep converted networks in: set LINESIDE_CACHE_FOLDER to one"
        )
    log.warning(
        "converted networks are kept in %s, and converted again whenever that is emptied: this user's cache folder cannot be "
        "written; make it this user's, or set LINESIDE_CACHE_FOLDER",
        folder,
    )
    return folder


def _home_cache() -> Path | None:
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    except RuntimeError:  # a user without a home
        return None
    return _made(home / "lineside")


def _temporary_cache() -> Path | None:
    """Nobody else's, and nobody else may write there: whoever does says which network answers."""
    if not hasattr(os, "getuid"):  # Windows has a temporary folder for each user
        return _made(Path(tempfile.gettempdir()) / "lineside")
    folder = _made(Path(tempfile.gettempdir()) / f"lineside-{os.getuid()}")
    if folder is None:
        return None
    found = folder.lstat()
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
    return folder if is_ours else None


def _made(folder: Path) -> Path | None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None
