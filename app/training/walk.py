"""The files of a class folder, as people keep them: whatever a program hid there is left out, linked folders are in.

class folder -> files_below -> paths
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

JUNK: Final = frozenset({"@eaDir", "Thumbs.db", "desktop.ini"})
"""What a NAS and Windows leave behind; `.@__thumb` and `.ipynb_checkpoints` begin with a dot. In them lie copies of the
very pictures beside them, which would stand on another side."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is no part of what people put there."""
    return name.startswith(".") or name in JUNK


def files_below(folder: Path) -> Iterator[Path]:
    """Its files at any depth, in the order of their names; a folder that several links lead to is listed once.

    A link to a folder above, such as to the one that holds all classes, is not followed.
    """
    seen = set(folder.resolve().parents)

    def below(inner: Path) -> Iterator[Path]:
        if (real := inner.resolve()) in seen:
            return
        seen.add(real)
        for path in sorted(inner.iterdir()):
            if is_hidden(path.name):
                continue
            if path.is_dir():
                yield from below(path)
            elif path.is_file():
                yield path

    return below(folder)
