"""A folder of class folders -> labelled items.

FOLDER/boar/a.jpg, FOLDER/boar/day 2/b.jpg, FOLDER/암/c.tif -> LabelledItem(path, class index)

A folder's name is a class's name, or one of its display labels. Opens no picture.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from app.bundles.problems import did_you_mean, listed
from app.errors import InvalidRequest
from app.evaluation.pictures import SUFFIXES, find_pictures
from app.evaluation.walk import is_hidden, no_utf_8, plain

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class LabelledItem:
    """One picture file and what it truly shows."""

    path: Path
    class_index: int


@dataclass(frozen=True, slots=True)
class LabelledFolder:
    """What lies in a folder of class folders."""

    items: tuple[LabelledItem, ...]
    """By class folder, then by path."""
    notes: tuple[str, ...] = ()
    """What was passed over."""


def read_labelled(
    folder: Path, classes: Sequence[str], display: Mapping[str, Mapping[str, str]] | None = None
) -> LabelledFolder:
    """Lists the pictures of a folder whose subfolders are named by class.

    Args:
        folder: the one above the class folders; a class folder is searched to any depth.
        classes: in the order of the model's outputs.
        display: language -> class -> label, as in the manifest; a label that two classes share is not taken.

    Raises:
        InvalidRequest: no such folder, a subfolder that is no class, or no picture at all.
    """
    if not folder.is_dir():
        raise InvalidRequest(
            f"{folder} is not a folder; it is the one above the class folders {listed(classes)}"
        )
    indices = class_indices(classes, display or {})
    entries = sorted(entry for entry in folder.iterdir() if not is_hidden(entry.name))
    rooms = [entry for entry in entries if entry.is_dir()]
    _check_names(rooms)
    if unknown := [room.name for room in rooms if plain(room.name) not in indices]:
        hint = _deeper(rooms, indices) or (did_you_mean(unknown[0], classes) if len(unknown) == 1 else "")
        raise InvalidRequest(
            f"{listed(unknown)} in {folder.name}/: no class of this model{hint}; the classes are {listed(classes)}"
        )
    items = [
        LabelledItem(path, indices[plain(room.name)]) for room in rooms for path in find_pictures([room])
    ]
    _check_names([item.path for item in items])
    if not items:
        raise InvalidRequest(
            f"no pictures ({', '.join(sorted(SUFFIXES))}) in class folders of {folder.name}/; "
            f"the classes are {listed(classes)}"
        )
    notes = []
    if loose := [entry.name for entry in entries if entry.suffix.lower() in SUFFIXES and entry.is_file()]:
        notes.append(f"{len(loose)} pictures beside the class folders were passed over: {listed(loose)}")
    return LabelledFolder(tuple(items), tuple(notes))


def _deeper(rooms: Sequence[Path], indices: Mapping[str, int]) -> str:
    """Where the class folders lie one level further down, as in train/ and val/."""
    holding = [room.name for room in rooms if _holds_class_folder(room, indices)]
    return f" (class folders lie in {listed(holding)}: give one of these)" if holding else ""


def _holds_class_folder(room: Path, indices: Mapping[str, int]) -> bool:
    try:
        return any(plain(each.name) in indices for each in room.iterdir() if each.is_dir())
    except OSError:
        return False


def spread(items: Sequence[LabelledItem], count: int) -> tuple[LabelledItem, ...]:
    """At most `count` items, the classes in turn, each class's taken evenly from its list."""
    return spread_by(items, count, lambda item: item.class_index)


def spread_by(items: Sequence[ItemT], count: int, group: Callable[[ItemT], int]) -> tuple[ItemT, ...]:
    """At most `count` items, the groups in turn, each group's taken evenly from its list.

    Every beginning of the result is as balanced as the whole, so a part of it may be looked at first.
    """
    by_group: dict[int, list[ItemT]] = {}
    for item in items:
        by_group.setdefault(group(item), []).append(item)
    shares = dict.fromkeys(by_group, 0)
    left = min(count, len(items))
    while left:
        for index, those in by_group.items():
            if left and shares[index] < len(those):
                shares[index] += 1
                left -= 1
    rows = [
        [those[position * len(those) // shares[index]] for position in range(shares[index])]
        for index, those in sorted(by_group.items())
        if shares[index]
    ]
    longest = max((len(row) for row in rows), default=0)
    return tuple(row[position] for position in range(longest) for row in rows if position < len(row))


def class_indices(classes: Sequence[str], display: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
    """Folder name -> class index; a class's own name wins over another's label."""
    meant: dict[str, set[int]] = {}
    for labels in display.values():
        for name, label in labels.items():
            meant.setdefault(plain(label), set()).add(classes.index(name))
    names = {label: min(indices) for label, indices in meant.items() if len(indices) == 1}
    return names | {plain(name): index for index, name in enumerate(classes)}


def _check_names(paths: Sequence[Path]) -> None:
    if (reason := no_utf_8(paths)) is not None:
        raise InvalidRequest(reason)
