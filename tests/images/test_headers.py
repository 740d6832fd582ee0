"""Promises of what is refused on a header alone."""

import struct
from io import BytesIO

import pytest
from PIL import Image

from app.domain import Geometry
from app.errors import UnsupportedImage
from app.images.decode import Picture, decode


def read(data: bytes) -> Picture:
    return decode(data, geometry=Geometry(steps=()), max_pixels=1_000_000)


def bmp_with_run_lengths(width: int, height: int, *, bits: int) -> bytes:
    """Each row one pixel and an end-of-line."""
    runs = b"\1\x80\0\0" * height + b"\0\1"
    start = 14 + 40 + 4 * 2**bits
    compression = {8: 1, 4: 2}[bits]
    sizes = (len(runs), 0, 0, 2**bits, 0)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, *sizes)
    palette = b"".join(bytes((level, level, level, 0)) for level in range(2**bits))
    return b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start) + header + palette + runs


@pytest.mark.parametrize("bits", [4, 8])
def test_a_bmp_with_run_lengths_is_refused_with_a_way_out(bits: int) -> None:
    with pytest.raises(UnsupportedImage, match=r"run lengths.*save it uncompressed"):
        read(bmp_with_run_lengths(70, 70, bits=bits))


def test_a_bmp_of_os2_whose_header_names_no_compression_is_read() -> None:
    """Where later headers have it, this one already has pixels."""
    head = b"BM" + struct.pack("<IHHIIHHHH", 26 + 24, 0, 0, 26, 12, 2, 3, 1, 24)

    picture = read(head + b"\1\0\0\0\1\0\0\0" * 3)

    assert picture.image.getpixel((0, 0)) == (0, 0, 1)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_other_bmps_are_read(mode: str) -> None:
    buffer = BytesIO()
    Image.new(mode, (5, 3), 1 if mode in {"1", "L", "P"} else (1, 2, 3, 255)[: len(mode)]).save(buffer, "BMP")

    assert read(buffer.getvalue()).image.size == (5, 3)
