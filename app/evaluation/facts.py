"""What can be known of a photograph besides what it shows: when, with what, as which kind of file it was taken.

labelled items -> [threads: bytes -> tags, header, name] -> PictureFacts, and what could not be read

A network sees none of this; but the light of a day, a lens or a compression it does see. Decodes no pixels.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Final, Literal, get_args

from PIL import Image

from app.errors import RequestError, UnreadableImage
from app.evaluation.groups import GroupOf, grouping, time_of_day
from app.evaluation.labelled import LabelledItem
from app.evaluation.pictures import read_picture
from app.evaluation.predictions import Failure

Fact = Literal["day", "camera", "file_kind", "folder", "name"]
FACTS: Final[tuple[Fact, ...]] = get_args(Fact)
Amount = Literal["date", "time", "width", "shape", "bytes"]
AMOUNTS: Final[tuple[Amount, ...]] = get_args(Amount)
"""What has an order: values that are all distinct may still be small for one class and large for another."""
MAX_PATTERNS: Final = 12
"""Distinct names that are still a pattern in a small folder; in a large one a quarter of the pictures are too many."""


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """Of one picture; None where nothing says."""

    item: LabelledItem
    values: tuple[str | None, ...]
    """In the order of FACTS."""
    amounts: tuple[float | None, ...]
    """In the order of AMOUNTS: days since any, seconds since midnight, pixels, width by height, bytes."""
    digest: str
    """SHA-256 of the file, in hexadecimal."""
    group: str | None = None
    """Of the pictures that it may not be counted apart from, where one was asked for and the picture says it."""

    @property
    def counts_with(self) -> str:
        """The same for all pictures that are one thing; a picture that says no group is one of its own."""
        return f"picture {self.item.path}" if self.group is None else f"group {self.group}"

    def of(self, fact: Fact) -> str | None:
        """One of them."""
        return self.values[FACTS.index(fact)]


def read_facts(
    items: Sequence[LabelledItem],
    folder: Path,
    class_words: Sequence[str],
    *,
    max_bytes: int,
    threads: int,
    class_depth: int = 1,
    group_of: GroupOf | None = None,
    on_done: Callable[[int], None] = lambda _count: None,
) -> tuple[list[PictureFacts], list[Failure]]:
    """Every file once, in order.

    Args:
        items: of this folder.
        folder: above the class folders.
        class_words: names and labels of classes: a file that is called after its class says nothing new.
        max_bytes: of a file.
        threads: that read.
        class_depth: parts of a path below the folder down to the class.
        group_of: what belongs together; told the name from the class folder on: not train/, or an animal would be two.
        on_done: told how many more are done.
    """
    words = sorted({word.lower() for word in class_words}, key=len, reverse=True)

    def one(item: LabelledItem) -> PictureFacts | Failure:
        try:
            data = read_picture(item.path, max_bytes)
            kind, width, height = _header(data)
        except RequestError as error:
            return Failure(item, error)
        # Below the class folder only: what that is called, the class says already.
        parts = item.path.relative_to(folder).parts
        above, below = parts[:class_depth], parts[class_depth:]
        name = "/".join(below)
        days, cameras = grouping("day"), grouping("camera")
        assert days is not None  # noqa: S101 - both are known words
        assert cameras is not None  # noqa: S101
        inner = "/".join(below[:-1])
        day, time = days(name, data), time_of_day(data)
        return PictureFacts(
            item,
            (day, cameras(name, data), kind, inner or None, name_pattern(item.path.stem, words)),
            (
                None if day is None else float(date.fromisoformat(day).toordinal()),
                None if time is None else float(time),
                float(width),
                width / max(height, 1),
                float(len(data)),
            ),
            hashlib.sha256(data).hexdigest(),
            None if group_of is None else group_of("/".join((*above[class_depth - 1 :], name)), data),
        )

    facts: list[PictureFacts] = []
    failures: list[Failure] = []
    with ThreadPoolExecutor(threads, thread_name_prefix="file") as pool:
        for found in pool.map(one, items):
            on_done(1)
            (failures if isinstance(found, Failure) else facts).append(found)  # type: ignore[arg-type]
    return facts, failures


def name_pattern(stem: str, class_words: Sequence[str]) -> str:
    """The name with every number as # and every class as <class>: IMG_0012 -> IMG_#.

    Args:
        stem: the name without its ending.
        class_words: in small letters, the longest first.
    """
    pattern = stem
    for word in class_words:
        if len(word) > 1:  # a single letter or digit is in every other name
            pattern = re.sub(re.escape(word), "<class>", pattern, flags=re.IGNORECASE)
    return re.sub(r"\d+", "#", pattern)


def are_patterns(values: Sequence[str | None]) -> bool:
    """Whether names repeat enough to be a pattern at all."""
    return len(set(values)) <= max(MAX_PATTERNS, len(values) // 4)


def _header(data: bytes) -> tuple[str, int, int]:
    """The kind of file: format and size in pixels; and width and height."""
    try:
        with Image.open(BytesIO(data)) as image:
            return f"{image.format} {image.width} x {image.height}", image.width, image.height
    except Exception as error:  # Pillow raises whatever its plug-ins raise on a broken header
        raise UnreadableImage(f"not a readable image: {error.__class__.__name__}") from error
