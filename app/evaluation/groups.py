"""Which pictures belong together and may not be parted: taken on one day, by one camera, of one animal.

relative name + the file's bytes -> group, or None where nothing says

A day is read from the file's own metadata (EXIF DateTimeOriginal, else DateTime, TIFF tag 306) and only then
from its name; a camera from Make, Model and serial number, else from a part of the name such as `cam2`.
"""

import re
from collections.abc import Callable
from datetime import date
from io import BytesIO
from typing import Final

from PIL import Image
from PIL.ExifTags import IFD, Base

from app.errors import InvalidRequest

GroupOf = Callable[[str, bytes], str | None]
"""(name below the folder, the file's bytes) -> group."""

_STAMP: Final = re.compile(r"\s*(\d{4})[:/-](\d\d)[:/-](\d\d)", re.ASCII)
_CLOCK: Final = re.compile(r"[ T](\d\d):(\d\d):(\d\d)", re.ASCII)
_DAY_IN_NAME: Final = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)", re.ASCII
)
_CAMERA_IN_NAME: Final = re.compile(
    r"(?<![a-z])cam(?:era)?(?:[-_ ]([0-9a-z]+)|([0-9][0-9a-z]*))", re.ASCII | re.IGNORECASE
)
"""A camel is no camera: a number follows at once, anything else after a mark."""
_SERIAL: Final = 0xA431


def grouping(group_by: str) -> GroupOf | None:
    """The function that tells a picture's group; None for `none`.

    Raises:
        InvalidRequest: neither a known word nor a regular expression.
    """
    match group_by:
        case "none":
            return None
        case "day":
            return lambda name, data: _day_in_file(data) or _day_in_name(name)
        case "camera":
            return lambda name, data: _camera_in_file(data) or _camera_in_name(name)
        case pattern:
            try:
                compiled = re.compile(pattern)
            except re.error as error:
                raise InvalidRequest(
                    f"--group-by {pattern}: neither none, day or camera nor a regular expression ({error})"
                ) from error
            return lambda name, _: _matched(compiled, name)


def _matched(pattern: re.Pattern[str], name: str) -> str | None:
    """The group called `group`, else the first, else the whole match."""
    found = pattern.search(name)
    if found is None:
        return None
    if "group" in pattern.groupindex:
        return found["group"]
    return found[1] if pattern.groups else found[0]


def _day_in_file(data: bytes) -> str | None:
    tags = _tags(data)
    for tag in (Base.DateTimeOriginal, Base.DateTime):
        if (found := _STAMP.match(str(tags.get(tag, "")))) and (day := _real_day(*found.groups())):
            return day
    return None


def time_of_day(data: bytes) -> int | None:
    """Seconds since midnight when the picture was taken; None where the file does not say, or says no real day."""
    tags = _tags(data)
    for tag in (Base.DateTimeOriginal, Base.DateTime):
        stamp = str(tags.get(tag, ""))
        found = _STAMP.match(stamp)
        if found and _real_day(*found.groups()) and (clock := _CLOCK.match(stamp, found.end())):
            hours, minutes, seconds = map(int, clock.groups())
            return 3600 * hours + 60 * minutes + seconds
    return None


def _day_in_name(name: str) -> str | None:
    found = _DAY_IN_NAME.search(name)
    return _real_day(found[1], found[3], found[4]) if found else None


def _real_day(year: str, month: str, day: str) -> str | None:
    """ISO 8601; None for one that no calendar has: a camera without a clock writes 0000:00:00."""
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None


def _camera_in_file(data: bytes) -> str | None:
    tags = _tags(data)
    parts = [str(tags.get(tag, "")).strip("\x00 ") for tag in (Base.Make, Base.Model, _SERIAL)]
    return " ".join(part for part in parts if part) or None


def _camera_in_name(name: str) -> str | None:
    found = _CAMERA_IN_NAME.search(name)
    return f"cam{(found[1] or found[2]).lower()}" if found else None


def _tags(data: bytes) -> dict[int, object]:
    """TIFF and EXIF tags of the first picture; empty where they cannot be read."""
    try:
        with Image.open(BytesIO(data)) as image:
            exif = image.getexif()
            return {**exif, **exif.get_ifd(IFD.Exif)}
    except Exception:  # noqa: BLE001 - broken metadata around a good picture says nothing, which is an answer
        return {}
