"""Promises of following a JPEG's markers: what lies in segments or behind the picture is nobody's business."""

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.domain import Geometry
from app.errors import UnreadableImage
from app.images.decode import Picture, decode

SCAN_MARKERS = b"\xff\xda" * 20_000
END = b"\xff\xd9"


def written(**options: Any) -> bytes:
    y, x = np.mgrid[:47, :61]
    buffer = BytesIO()
    Image.fromarray(np.stack((x * 4, y * 5, x + y), axis=2).astype(np.uint8)).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def read(data: bytes) -> Picture:
    return decode(data, geometry=Geometry(steps=()), max_pixels=1_000_000)


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def with_scans(count: int, *, before_each: bytes = b"", restarts: int = 0) -> bytes:
    """A progressive JPEG whose last scan is there again and again, all before its end of image."""
    data = written(progressive=True, restart_marker_blocks=restarts).removesuffix(END)
    last = data[data.rindex(b"\xff\xda") :]
    return data + (before_each + last) * (count - data.count(b"\xff\xda")) + END


def behind_the_start(data: bytes, inserted: bytes) -> bytes:
    return data[:2] + inserted + data[2:]


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("behind", [b"\0\0\0\x18ftypmp42" + SCAN_MARKERS, written() * 40, SCAN_MARKERS])
def test_what_follows_the_end_of_a_picture_is_not_looked_at(behind: bytes, progressive: bool) -> None:
    data = written(progressive=progressive)

    assert np.array_equal(np.asarray(read(data + behind).image), np.asarray(Image.open(BytesIO(data))))


@pytest.mark.parametrize("marker", [0xE1, 0xEB, 0xEF, 0xFE])
def test_what_is_in_segments_is_not_looked_at(marker: int) -> None:
    data = written()

    picture = read(behind_the_start(data, segment(marker, SCAN_MARKERS + END) * 50))

    assert np.array_equal(np.asarray(picture.image), np.asarray(Image.open(BytesIO(data))))


def test_a_picture_of_some_scans_more_than_usual_is_read() -> None:
    assert read(with_scans(32)).image.size == (61, 47)


@pytest.mark.parametrize(
    "before_each",
    [
        b"",
        b"\xff" * 9,  # fill
        b"\0 junk \xff\0",
        segment(0xFE, END),
        b"\xff\xe0\0\0",  # lengths that do not even count themselves
        b"\xff\xfe\0\1",
        b"\xff\x01",  # a marker that has no length
    ],
)
def test_very_many_scans_are_refused_however_they_are_hidden(before_each: bytes) -> None:
    with pytest.raises(UnreadableImage, match="more than 32 scans; save it again"):
        read(with_scans(33, before_each=before_each))


@pytest.mark.parametrize("reserved", [b"\xff\x02\xff\xfe", b"\xff\xd3\xff\xfe"])
def test_a_marker_without_length_inside_a_scan_hides_nothing(reserved: bytes) -> None:
    """libjpeg, looking for a restart, throws it away alone; its two bytes of length would be the next marker."""
    with pytest.raises(UnreadableImage, match="more than 32 scans"):
        read(with_scans(33, before_each=reserved.ljust(60_000, b"\0"), restarts=1))


@pytest.mark.parametrize(
    "stuffing",
    [
        b"\xff" * 70_000,
        bytes(70_000),
        b"\xff\xd0" * 35_000,
        b"\xff\xf0\xff\xff" + b"\xff" * 70_000,
        segment(0xE1, b"") * 5_000,
    ],
)
@pytest.mark.parametrize("rest", [written()[2:], END, b""])
def test_a_header_that_is_stuffed_is_refused(stuffing: bytes, rest: bytes) -> None:
    with pytest.raises(UnreadableImage, match=r"4,096 segments, or 65,536 bytes between them"):
        read(b"\xff\xd8\xff\xe1\0\2" + stuffing + rest)


def test_an_end_before_the_picture_ends_no_search() -> None:
    with pytest.raises(UnreadableImage, match="bytes between them"):
        read(b"\xff\xd8" + END + b"\xff" * 70_000)


def test_some_padding_between_segments_is_borne() -> None:
    data = written()

    picture = read(behind_the_start(data, segment(0xE1, b"") + b"\xff" * 4_000))

    assert np.array_equal(np.asarray(picture.image), np.asarray(Image.open(BytesIO(data))))
