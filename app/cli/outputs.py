"""Files that the user of a command names: each whole or not at all, and written where the name leads.

(path, data), ... -> [links followed] -> hidden files beside their places -> the places; devices and pipes are written into

A file that is moved to a name replaces what has it, so that a link would lose its file and `/dev/null` would be none any
more. It takes over who may read it. Files inside a bundle keep to stricter rules: app.bundles.files.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.bundles.files import write_beside
from app.errors import InvalidRequest


def place_of(path: Path) -> Path:
    """The file that a path means, all links followed; it need not be there."""
    return Path(os.path.realpath(path))


def is_stream(path: Path) -> bool:
    """Whether it is a device such as a terminal or /dev/null, or a pipe: written into, never replaced.

    Raises:
        OSError: the way to it cannot be followed.
    """
    mode = _mode(path)
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def make_room(folder: Path) -> None:
    """The folder that results go to, before the work.

    Raises:
        InvalidRequest: there can be none, or nothing may be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = None if os.access(folder, os.W_OK | os.X_OK) else "not allowed"
    except OSError as error:
        reason = str(error.strerror)
    if reason is not None:
        raise InvalidRequest(
            f"the results cannot be written to {folder} ({reason}): choose another with --out"
        )


def check_output(path: Path, *, replaces: bool = True) -> None:
    """Before the work, not after it.

    Raises:
        InvalidRequest: it names something that no file may take the place of; a file too, unless `replaces`.
    """
    with _refusing(path):
        mode = _mode(path)
        if stat.S_ISDIR(mode):
            raise InvalidRequest(f"{path} is a folder; name a file in it")
        if is_stream(path):
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        elif mode and not stat.S_ISREG(mode):
            raise InvalidRequest(f"{path} is a disk or a socket; name a file")
        elif mode and not replaces:
            raise InvalidRequest(_taken(path))


def check_pair(first: tuple[str, Path], second: tuple[str, Path]) -> None:
    """Of options and their paths; raises InvalidRequest where both mean one file."""
    (option, path), (other, same) = first, second
    if place_of(path) == place_of(same) and not is_stream(path):
        raise InvalidRequest(f"{option} and {other} both name {path}; give each a file of its own")


def write_outputs(*files: tuple[Path, bytes], replaces: bool = True) -> None:
    """Writes them all. Where one cannot be, those that were new before it are taken back, unless `replaces`.

    Raises:
        InvalidRequest: one cannot be written; or it is there, `replaces` or not as in `check_output`, also where it came
            while the command was at work.
    """
    whole: dict[Path, Path] = {}
    new: list[Path] = []
    try:
        for path, data in files:
            check_output(path, replaces=replaces)
            if not is_stream(path):
                with _refusing(path):
                    whole[path] = write_beside(place_of(path), data)
                    if mode := _mode(path):  # a report that was for its owner's eyes alone stays so
                        whole[path].chmod(stat.S_IMODE(mode))
        for path, hidden in whole.items():
            with _refusing(path):
                if replaces:
                    hidden.replace(place_of(path))
                else:
                    _name_once(hidden, path)
                    new.append(place_of(path))
        for path, data in files:  # streams last, since what they were told cannot be taken back
            if path not in whole:
                with _refusing(path):
                    _write_into(path, data)
    except BaseException:
        for place in new:
            place.unlink(missing_ok=True)
        raise
    finally:
        for hidden in whole.values():
            hidden.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    """Of what the path leads to; 0 where nothing is there."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return 0


def _name_once(hidden: Path, path: Path) -> None:
    place = place_of(path)
    try:
        # A rename would replace what is there; a link refuses.
        os.link(hidden, place)
    except FileExistsError as error:
        raise InvalidRequest(_taken(path)) from error
    except OSError:  # a file system without links
        if place.exists():
            raise InvalidRequest(_taken(path)) from None
        hidden.replace(place)


def _write_into(path: Path, data: bytes) -> None:
    # Opening a pipe that nobody reads would otherwise wait for ever; and no terminal becomes this process's own.
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(descriptor, "wb") as stream:
        os.set_blocking(descriptor, True)
        stream.write(data)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = "nobody reads it" if error.errno == errno.ENXIO else error.strerror
        raise InvalidRequest(f"{path} cannot be written: {reason}") from error


def _taken(path: Path) -> str:
    return f"{path} is there already: name another file, or give --force to replace it"
