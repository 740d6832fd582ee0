"""Folders of pictures as people keep them: what a program hid there is left out, linked folders are in, names are whole.

folder -> files_below -> paths
"""

import unicodedata
from collections.abc import Iterable, Iterator
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


def plain(name: str) -> str:
    """As macOS does not write it: it takes Hangul apart in file names; put together, 암 is 암 again."""
    return unicodedata.normalize("NFC", name)


def no_utf_8(paths: Iterable[Path]) -> str | None:
    """What is wrong with the names that no JSON, page or terminal can hold, and the fix; None where all are good.

    Zipped on a Korean Windows they come as EUC-KR. Python keeps such bytes as surrogates, which nothing encodes again.
    """
    odd = [path for path in paths if any("\ud800" <= letter <= "\udfff" for letter in str(path))]
    if not odd:
        return None
    return (
        f"{printable(str(odd[0]))}: the name is no UTF-8 ({len(odd)} of this kind in all); rename it "
        "(`convmv -f cp949 -t utf-8 -r --notest FOLDER` does it for Korean names of an old Windows)"
    )


def printable(text: str) -> str:
    """With what is no UTF-8 as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
