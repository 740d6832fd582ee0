"""A folder of photographs, listed: which file shows which class, and on which side it was put, if any.

FOLDER/boar/1.tif ...                        -> one set, still to be split
FOLDER/train/boar/1.tif, FOLDER/val/boar/... -> already split; test/ may be missing

Names only; no picture is opened here. What hides (evaluation/walk.py) is no picture; what else is passed over, is told.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from app.errors import TrainingRefused
from app.evaluation.pictures import SUFFIXES
from app.evaluation.walk import files_below, is_hidden, no_utf_8, plain, printable

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


@dataclass(frozen=True, slots=True)
class File:
    """One picture's file."""

    path: Path
    name: str
    """Below the folder, with forward slashes: the same on every machine."""
    class_index: int
    side: Side | None
    """None: the folder leaves it to us."""

    @property
    def name_in_side(self) -> str:
        """Below train/ or val/: what a group is read from, or the pictures of one would be two groups."""
        return self.name if self.side is None else self.name.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Folder:
    """What lies in it."""

    classes: tuple[str, ...]
    files: tuple[File, ...]
    """Sorted by name."""
    passed_over: tuple[str, ...] = ()
    """What lies there and is not used, a sentence each."""


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
        class_folders = [(side, path) for side, room in rooms for path in _folders(room)]
        found = sorted({plain(path.name) for _, path in class_folders})
        _check_names(path for _, path in class_folders)
        names = tuple(classes) or tuple(found)
        _check_classes(folder, names, found, rooms)
        if not classes and rooms == [(None, folder)]:
            _check_no_sides(folder, [path for _, path in class_folders])
        numbers = {plain(name): index for index, name in enumerate(names)}
        below = [
            (side, numbers[plain(path.name)], file)
            for side, path in class_folders
            for file in files_below(path)
        ]
        loose = {path for room in {folder, *(room for _, room in rooms)} for path in _loose(room)}
    except OSError as error:
        raise TrainingRefused(f"{folder}: cannot be listed ({error.strerror})") from error
    files = [
        File(path, path.relative_to(folder).as_posix(), index, side)
        for side, index, path in below
        if path.suffix.lower() in SUFFIXES
    ]
    _check_names(file.path for file in files)
    counts = {(side, index): 0 for side, _ in rooms for index in range(len(names))}
    for file in files:
        counts[file.side, file.class_index] += 1
    for (side, index), count in counts.items():
        if not count:
            where = f" on the side {side}" if side else ""
            raise TrainingRefused(
                f"class `{names[index]}` has no pictures{where} ({', '.join(sorted(SUFFIXES))}); add some, or remove its folder"
            )
    others = [path for _, _, path in below if path.suffix.lower() not in SUFFIXES]
    return Folder(names, tuple(sorted(files, key=lambda file: file.name)), _passed_over(others, loose))


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
    return sorted(each for each in folder.iterdir() if each.is_dir() and not is_hidden(each.name))


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
        there = {plain(path.name) for path in _folders(room)}
        if missing := [name for name in names if plain(name) not in there]:
            raise TrainingRefused(
                f"{room}: there is no folder for {', '.join(missing[:10])}; every class needs one"
            )


def _check_no_sides(folder: Path, class_folders: Sequence[Path]) -> None:
    """training_set/ and test_set/ with the same classes in each are no classes."""
    inner = [{plain(each.name) for each in _folders(path)} for path in class_folders]
    if len(inner[0]) < 2 or any(each != inner[0] for each in inner) or any(_loose(p) for p in class_folders):
        return
    outer = ", ".join(path.name for path in class_folders[:5])
    raise TrainingRefused(
        f"{folder}: {outer} all hold the same folders ({', '.join(sorted(inner[0])[:5])}). If those are the classes, name the "
        f"upper ones train, val and test; if {outer} are the classes, say so: classes = [...] in the configuration"
    )


def _check_names(paths: Iterable[Path]) -> None:
    if (reason := no_utf_8(paths)) is not None:
        raise TrainingRefused(reason)


def _loose(folder: Path) -> list[Path]:
    """Pictures right in it."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in SUFFIXES and not is_hidden(path.name) and path.is_file()
    ]


def _passed_over(others: Sequence[Path], loose: Iterable[Path]) -> tuple[str, ...]:
    sentences = []
    if kinds := Counter(printable(path.suffix.lower() or path.name) for path in others):
        listed = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(8))
        more = f" and {len(kinds) - 8} other kinds" if len(kinds) > 8 else ""
        sentences.append(f"passed over in class folders: {listed}{more}")
    if lying := sorted(printable(path.name) for path in loose):
        more = ", ..." if len(lying) > 3 else ""
        sentences.append(
            f"passed over beside the class folders: {len(lying)} pictures ({', '.join(lying[:3])}{more})"
        )
    return tuple(sentences)
