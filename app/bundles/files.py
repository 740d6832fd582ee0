"""Files of a bundle: only regular files that truly lie inside its folder, and writing that is never half done.

Messages name files as the bundle does and hold no path of this machine; the cause is chained for the log.
"""

import os
import re
from pathlib import Path
from uuid import uuid4

from app.errors import ManifestInvalid


def one_line(text: str) -> str:
    """The text, if it is printable and has no blanks at its ends; raises ValueError."""
    if text != text.strip() or not text.isprintable():
        raise ValueError("no blanks at the ends, no line breaks or control characters")
    return text


def plain_file_name(name: str) -> str:
    """The name, if it is one inside its own folder on every system; raises ValueError."""
    if name.startswith(".") or re.search(r'[/\\:*?"<>|]', name):
        raise ValueError("write the plain name of a file, without any folder")
    return one_line(name)


def is_inside(path: Path, folder: Path) -> bool:
    """Whether the path, all links followed, lies in the folder, all links followed. Both must exist."""
    try:
        return path.resolve(strict=True).is_relative_to(folder.resolve(strict=True))
    except (OSError, RuntimeError):  # RuntimeError: links in a circle, before Python 3.13
        return False


def is_there(path: Path) -> bool:
    """Whether something has this name, be it a broken link; raises OSError where that may not be known."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def why_not(error: OSError) -> str:
    """The system's reason; where it is a missing right, whose, and how to give it."""
    if isinstance(error, PermissionError) and hasattr(os, "geteuid"):
        return f"{error.strerror}; this runs as user {os.geteuid()}: `chmod -R a+rX` on the model repository lets it"
    return str(error.strerror)


def file_inside(folder: Path, name: str) -> Path:
    """folder/name, a regular file that no link takes out of the folder; raises ManifestInvalid.

    A pipe would make the server wait for ever, a link could show any file of this machine.
    """
    path = folder / name
    try:
        there = is_there(path)
    except OSError as error:
        raise ManifestInvalid(f"`{name}` cannot be read: {why_not(error)}") from error
    if not there:
        raise ManifestInvalid(f"`{name}` is not in the bundle's folder")
    if not is_inside(path, folder):
        raise ManifestInvalid(
            f"`{name}` is a link that is broken or leaves the bundle's folder; copy the file"
        )
    if not path.is_file():
        raise ManifestInvalid(f"`{name}` is not a regular file")
    return path


def read_inside(folder: Path, name: str, *, max_bytes: int) -> bytes:
    """The content of folder/name; raises ManifestInvalid."""
    path = file_inside(folder, name)
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise ManifestInvalid(f"`{name}` cannot be read: {why_not(error)}") from error
    if len(data) > max_bytes:
        raise ManifestInvalid(f"`{name}` is larger than {max_bytes // 2**20} MiB")
    return data


def hidden_sibling(path: Path) -> Path:
    """A new name beside the path that a scan of the repository passes over; not too long where the path's own is not."""
    # A name has 255 bytes at most, 18 are added here, and a letter takes up to four.
    name = path.name if len(os.fsencode(path.name)) <= 237 else path.name[:56]
    return path.with_name(f".{name}.writing-{uuid4().hex[:8]}")


def write_beside(path: Path, data: bytes) -> Path:
    """A new hidden file beside the path with all of the data, on the disk itself; none where that fails."""
    hidden = hidden_sibling(path)
    try:
        with hidden.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        hidden.unlink(missing_ok=True)
        raise
    return hidden


def write_atomically(path: Path, data: bytes) -> None:
    """Writes the file whole or not at all, also through a power cut.

    A link at the path is replaced and not followed: it could lead out of the bundle's folder. What a user names is for
    app.cli.outputs.
    """
    hidden = write_beside(path, data)
    try:
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)


def to_disk(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk itself."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
