"""Gives a folder that was made in full its name: whole or not at all.

place -> workshop -> a hidden place to make it in -> put_in_place -> place
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.bundles.files import hidden_sibling, to_disk
from app.errors import BundleRefused


@contextmanager
def workshop(place: Path) -> Iterator[Path]:
    """Where to make the folder `place`: a path of the same name and parent's name, on the same disk, not there yet.

    Nothing remains in the end but what `put_in_place` took out; after a power cut at most a hidden folder, which a scan
    passes over.

    Raises:
        BundleRefused: the disk is full, or the folder cannot be written.
    """
    parents = [parent for parent in (place.parent.parent, place.parent) if not parent.exists()]
    hidden = hidden_sibling(place)
    made = hidden / place.parent.name / place.name
    try:
        made.parent.mkdir(parents=True)
        yield made
    except OSError as error:
        raise _unwritable(place, error) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
        for parent in reversed(parents):
            with suppress(OSError):  # what was made lies in it
                parent.rmdir()


def put_in_place(made: Path, place: Path, *, seal: str | None = None) -> None:
    """Moves it, once all of it is on the disk itself.

    Args:
        made: a folder on the same disk.
        place: its name from now on.
        seal: a file without which the others mean nothing. Given, `place` may be there already: the new files then take
            the places of those of their names, its seal first taken away and put back last; all others stay.

    Raises:
        BundleRefused: it is there already, or cannot be written.
    """
    try:
        for path in (*made.rglob("*"), made):
            to_disk(path)
        if seal is not None and place.is_dir():
            (place / seal).unlink(missing_ok=True)
            to_disk(place)
            for file in made.iterdir():
                if file.name != seal:
                    file.replace(place / file.name)
            to_disk(place)
            (made / seal).replace(place / seal)
            to_disk(place)
            return
        if place.exists() or place.is_symlink():
            raise BundleRefused(f"{place.parent.name}/{place.name} exists already; take the next version")
        made.rename(place)
        to_disk(place.parent)
    except OSError as error:
        raise _unwritable(place, error) from error


def _unwritable(place: Path, error: OSError) -> BundleRefused:
    return BundleRefused(
        f"{place.parent.name}/{place.name} cannot be written: {error.strerror}. Make room there, or copy the bundle to a folder "
        "that you may write to"
    )
