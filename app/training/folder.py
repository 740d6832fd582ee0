"""A folder of photographs, listed: which file shows which class, and on which side it was put, if any.

FOLDER/boar/1.tif ...                        -> one set, still to be split
FOLDER/train/boar/1.tif, FOLDER/val/boar/... -> already split; test/ may be missing

Names only; no picture is opened here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from app.errors import TrainingRefused

Side = Literal["train", "validation", "test"]
SIDES: Final[tuple[Side, ...]] = ("train", "validation", "test")

SIDE_FOLDERS: Final[dict[str, Side]] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"})
"""Everything else in a class folder (Thumbs.db, notes) is no picture and no damage."""


@dataclass(frozen=True, slots=True)
class File:
    """One picture's file."""

    path: Path
    name: str
    """Below the folder, with forward slashes: the same on every machine."""
    class_index: int
    side: Side | None
    """None: the folder leaves it to us."""


@dataclass(frozen=True, slots=True)
class Folder:
    """What lies in it."""

    classes: tuple[str, ...]
    files: tuple[File, ...]
    """Sorted by name."""


def list_folder(folder: Path, classes: Sequence[str] = ()) -> Folder:
    """The pictures of a folder.

    Args:
        folder: of class folders, or of train/, val/ and perhaps test/ that hold them.
        classes: in the order of the outputs; empty: the class folders, sorted as text as ImageFolder does.

    Raises:
        TrainingRefused: no folder, fewer than two classes, folders that contradict the classes or each other.
    """
    if not folder.is_dir():
        raise TrainingRefused(f"{folder}: not a folder; give the one that holds a folder for each class")
    try:
        rooms = _rooms(folder)
        found = sorted({path.name for _, room in rooms for path in _folders(room)})
        names = tuple(classes) or tuple(found)
        _check_classes(folder, names, found, rooms)
        files = [
            File(path, path.relative_to(folder).as_posix(), index, side)
            for side, room in rooms
            for index, name in enumerate(names)
            for path in (room / name).rglob("*")
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
        ]
    except OSError as error:
        raise TrainingRefused(f"{folder}: cannot be listed ({error.strerror})") from error
    counts = {(side, index): 0 for side, _ in rooms for index in range(len(names))}
    for file in files:
        counts[file.side, file.class_index] += 1
    for (side, index), count in counts.items():
        if not count:
            where = f" on the side {side}" if side else ""
            raise TrainingRefused(
                f"class `{names[index]}` has no pictures{where} ({', '.join(sorted(SUFFIXES))}); add some, or remove its folder"
            )
    return Folder(names, tuple(sorted(files, key=lambda file: file.name)))


def _rooms(folder: Path) -> list[tuple[Side | None, Path]]:
    """The folders that hold class folders, each with its side."""
    children = _folders(folder)
    sides = [
        (SIDE_FOLDERS[each.name.lower()], each) for each in children if each.name.lower() in SIDE_FOLDERS
    ]
    if not any(side == "train" for side, _ in sides):
        return [(None, folder)]
    others = [each.name for each in children if each.name.lower() not in SIDE_FOLDERS]
    if others:
        raise TrainingRefused(
            f"{folder}: beside train/ lies {', '.join(others[:5])}/; either every folder is a side (train, val, test) or a class"
        )
    names = [side for side, _ in sides]
    if len(set(names)) != len(names):
        raise TrainingRefused(
            f"{folder}: two folders are the same side: {', '.join(p.name for _, p in sides)}"
        )
    return sorted(((side, each) for side, each in sides), key=lambda room: SIDES.index(room[0]))


def _folders(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))


def _check_classes(
    folder: Path, names: tuple[str, ...], found: Sequence[str], rooms: Sequence[tuple[Side | None, Path]]
) -> None:
    if len(names) < 2:
        raise TrainingRefused(
            f"{folder}: {len(names)} class folders ({', '.join(names) or 'none'}); a classifier needs two or more"
        )
    if unknown := sorted(set(found) - set(names)):
        raise TrainingRefused(
            f"{folder}: the folders {', '.join(unknown[:10])} are in no class; `classes` names {', '.join(names)}"
        )
    for _, room in rooms:
        if missing := [name for name in names if not (room / name).is_dir()]:
            raise TrainingRefused(
                f"{room}: there is no folder for {', '.join(missing[:10])}; every class needs one"
            )
