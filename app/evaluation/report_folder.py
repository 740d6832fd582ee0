"""A folder of files that is written whole or not at all, and takes nothing from anybody.

{name: bytes} -> write_folder -> the folder in its place

An earlier report is replaced; a folder in which somebody else has put something is not.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.errors import InvalidRequest

MARK: Final = ".lineside-report"
"""Lies in a folder that we wrote, so that only such a one is ever replaced."""
OURS: Final = frozenset(
    {MARK, "evaluation.html", "evaluation.json", "predictions.csv", "audit.html", "audit.json"}
)
"""What a report may hold."""
NOBODYS: Final = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""Left by file managers that only looked."""


def check_folder(folder: Path, option: str = "--out") -> None:
    """Before the work, not after it; leaves nothing behind.

    Raises:
        InvalidRequest: something else lies there, or nothing can be written there.
    """
    place = _place(folder, option)
    parent = place.parent
    while not parent.exists():
        parent = parent.parent
    try:
        with tempfile.TemporaryDirectory(dir=parent, prefix=".writing-"):
            pass
    except OSError as error:
        raise InvalidRequest(
            f"{option} {folder} cannot be written: {error.strerror} in {parent}; name another folder"
        ) from error


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """The folder with these files, or what was there before; a link to a folder stays, and that folder is written.

    Args:
        folder: may be missing, empty or an earlier report.
        files: by names out of `OURS`.

    Raises:
        InvalidRequest: something else lies there, or it cannot be written.
    """
    place = _place(folder, "--out")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".writing-") as workshop:
            new, old = Path(workshop) / "new", Path(workshop) / "old"
            new.mkdir()
            for name, data in {MARK: b"", **files}.items():
                (new / name).write_bytes(data)
            if place.exists():
                place.rename(old)
            try:
                new.rename(place)
            except OSError:
                with suppress(OSError):
                    old.rename(place)
                raise
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise InvalidRequest(f"{folder} cannot be written: {error.strerror}") from error


def _place(folder: Path, option: str) -> Path:
    """Where links lead; raises InvalidRequest where something else than an earlier report lies there."""
    try:
        names = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    except OSError as error:
        raise InvalidRequest(
            f"{option} {folder}: there is something else already; name a new folder"
        ) from error
    if names and MARK not in names:
        raise InvalidRequest(f"{option} {folder}: there is something else already; name a new folder")
    if foreign := sorted(names - OURS - NOBODYS):
        raise InvalidRequest(
            f"{option} {folder}: {', '.join(foreign[:3])} in it is no part of an earlier report and would be lost; "
            "move it away, or name a new folder"
        )
    return Path(os.path.realpath(folder))
