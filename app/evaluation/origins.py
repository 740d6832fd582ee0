"""Which of the pictures a bundle has met before: it is better on those than on any that come.

bundle folder -> training/split.csv -> {SHA-256 of a file: side} -> how many of these pictures stood on which side

A copy is found by its bytes, whatever its name. A bundle that lists no pictures, such as an imported one, says nothing.
"""

import csv
import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Met:
    """Pictures that a model has met, out of those it is asked now."""

    trained_on: int = 0
    """Its weights were fitted to them."""
    chosen_by: int = 0
    """The validation side: its epoch and its temperature may have been chosen by them."""
    on_earlier_side: int = 0
    """Of a side that a training measures: its pixels stand on one of the sides before it too."""


def met_before(sides: Mapping[str, str], digests: Iterable[str]) -> Met:
    """Of pictures that could be read, told by the SHA-256 of their files."""
    found = [sides.get(each) for each in digests]
    return Met(found.count("train"), found.count("validation"))


def digests_of(paths: Iterable[Path]) -> list[str]:
    """SHA-256 of each file that can still be read."""
    found = []
    for path in paths:
        with suppress(OSError):
            found.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return found


def sides_of(bundle_folder: Path) -> dict[str, str]:
    """Digest -> side; `train` where the same bytes stood on several, since that is the worst of it."""
    try:
        lines = (bundle_folder / "training" / "split.csv").read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return {}
    sides: dict[str, str] = {}
    for row in csv.DictReader(lines):
        digest, side = row.get("sha256"), row.get("side")
        if digest and side and sides.get(digest) != "train":
            sides[digest] = side
    return sides
