"""Picture files on disk: which there are, and their bytes.

paths -> find_pictures -> files -> read_picture -> bytes

Looks at names only to choose what to try; what a file is, its bytes say.
"""

from collections.abc import Iterable
from pathlib import Path

from app.errors import BodyTooLarge, UnreadableImage
from app.evaluation.walk import files_below

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"})
"""What a folder is searched for; a file named outright is always tried, whatever it is called."""


def find_pictures(paths: Iterable[Path]) -> list[Path]:
    """Files as named, folders searched for pictures as `files_below` has it; sorted, each once."""
    found: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found |= {file for file in files_below(path) if file.suffix.lower() in SUFFIXES}
        else:
            found.add(path)
    return sorted(found)


def read_picture(path: Path, max_bytes: int) -> bytes:
    """The file's bytes.

    Raises:
        BodyTooLarge: more than `max_bytes`.
        UnreadableImage: it cannot be opened.
    """
    try:
        if path.stat().st_size > max_bytes:
            raise BodyTooLarge(f"more than {max_bytes} bytes; raise LINESIDE_MAX_BODY_MIB")
        return path.read_bytes()
    except OSError as error:
        raise UnreadableImage(f"cannot be opened: {error.strerror}") from error
