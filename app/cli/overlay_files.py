"""What the overlays of `lineside predict` are called.

pictures -> overlay_names -> a name each; name + predicted class -> overlay_file
"""

import itertools
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path


def overlay_names(files: Sequence[Path]) -> dict[Path, str]:
    """One for each picture and none twice: its folder and its name, with a number where others have the same."""
    names: dict[Path, str] = {}
    taken = set[str]()
    for path in files:
        plain_name = f"{_short(folder_of(path))}-{_short(path.stem)}"
        name = next(name for name in _numbered(plain_name) if name not in taken)
        taken.add(name)
        names[path] = name
    return names


def overlay_file(name: str, class_name: str) -> str:
    """The file of one of those names."""
    return f"{name}-{_short(class_name)}.jpg"


def remove_earlier(
    folder: Path, names: Collection[str], written: Collection[str], classes: Sequence[str]
) -> None:
    """Take away the overlays of an earlier run in which one of these pictures was called something else.

    Args:
        folder: of the overlays.
        names: of all pictures.
        written: files of this run.
        classes: of the model.
    """
    known = set(names)
    endings = [overlay_file("", name) for name in classes]
    for entry in folder.iterdir():
        if entry.name not in written and any(
            entry.name.endswith(ending) and entry.name.removesuffix(ending) in known for ending in endings
        ):
            entry.unlink(missing_ok=True)


def folder_of(path: Path) -> str:
    """The name of the folder that a picture lies in, also where the path is just a file's name."""
    return path.absolute().parent.name


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}~{number}" for number in itertools.count(2))


def _short(text: str) -> str:
    """As one of three parts of a file's name, of 255 bytes at most."""
    return os.fsencode(text.replace("/", "_"))[:60].decode("utf-8", "ignore")
