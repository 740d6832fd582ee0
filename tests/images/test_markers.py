"""Promises of following a JPEG's markers: what lies in segments or behind the picture is nobody's business."""

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.domain import Geometry
from app.errors import UnreadableImage, UnsupportedImage
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


# Of imagecodecs 2026.3.6 (libjpeg-turbo, liblj92, CharLS): the 4 x 4 grey levels of SAMPLES, times 16 in 12 bits and
# times 200 in 16.
SAMPLES = [[0, 40, 80, 120], [10, 200, 30, 60], [255, 1, 2, 90], [91, 250, 7, 8]]
LOSSLESS = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000ffc3000b080004000401011100ffc400190001000203000000000000"
    "000000000000080106040507ffda00080101000100003fda2d168ca5f1577cf500cf582da7c193ffd9"
)
LOSSLESS_16 = bytes.fromhex(
    "ffd8ffc4001900010100030100000000000000000000000f0b0d0e0a10ffc3000b100004000401001100ffda00080100"
    "00060000f67d033e819f40be83c8c0d37e129cfd9e9a9bbee6c4c0ff00c1d4c11519efd8ffd9"
)
TWELVE_BITS = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000ffdb0043000201010101010201010102020202020403020202020504"
    "040304060506060605060606070908060709070606080b08090a0a0a0a0a06080b0c0b0a0c090a0a0affc1000b0c0004"
    "000401011100ffc4001400010000000000000000000000000000000dffc4001d10000202020301000000000000000000"
    "0006070809030a050b0c04ffda0008010100003f003d0fdc97ddebb5778d97d3bd6ffd2b5d20910239c0ad5db36b3faa"
    "bdcb555d3871722a5028d4b54e3d61daccd584e02386896f8a3db916994b13cab2d7c918608b09d195a3250ff86e1be5"
    "317fbce403848cf5c063ffd9"
)
JPEG_LS = bytes.fromhex(
    "ffd8ffe800205350494646000200000100000004000000040a0806010000012c0000012cffe8000800000001ffd8fff7"
    "000b080004000401011100ffda000801010000000080000700001cb410000006f8000006ac382f400038000006d85030"
    "00000d10ffd9"
)


def test_a_lossless_jpeg_of_8_bits_is_read() -> None:
    assert np.array_equal(np.asarray(read(LOSSLESS).image)[..., 0], SAMPLES)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (TWELVE_BITS, "JPEG of 12 bits a sample"),
        (LOSSLESS_16, "JPEG of 16 bits a sample"),
        (JPEG_LS, "JPEG-LS"),
        (written().replace(b"\xff\xc0", b"\xff\xc5"), "hierarchical JPEG"),
    ],
)
def test_a_rare_kind_of_jpeg_is_unsupported_not_corrupt(data: bytes, kind: str) -> None:
    with pytest.raises(
        UnsupportedImage, match=f"^{kind} is not accepted; save the picture as a JPEG of 8 bits"
    ):
        read(data)


def test_a_precision_that_no_jpeg_has_is_damage() -> None:
    data = written()
    precision = data.index(b"\xff\xc0") + 4

    with pytest.raises(UnreadableImage, match="truncated or corrupt"):
        read(data[:precision] + b"\x4d" + data[precision + 1 :])
