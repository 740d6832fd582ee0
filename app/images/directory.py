"""What the first directory of a TIFF says, read before Pillow opens the file and may work on it for seconds.

bytes -> nothing, or a refusal
"""

import struct
from collections.abc import Iterator

from PIL.TiffImagePlugin import COMPRESSION_INFO

from app.errors import UnreadableImage, UnsupportedImage

MAX_ENTRIES = 4_096
"""Of the directory; microscopes write a hundred. Pillow steps through them in Python: 1.6 million, in a BigTIFF of 32 MB, took
2.9 s."""
MAX_STRIPS = 32_768
"""Of strips or tiles. Pillow starts a decoder for each, 7 to 15 us, and reads 64 KiB for it: this many take 0.25 s, a
million, in an 8 MB file, 10 to 18 s. Enough for a row a strip of any camera's picture, or 8 megapixels in tiles
of 16 x 16."""

_COMPRESSION, _STRIP_OFFSETS, _TILE_OFFSETS = 259, 273, 324
_SHORT = 3
_NOT_READ = {
    22610: "JPEG XR",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34712: "JPEG 2000",
    34887: "LERC",
    34933: "PNG",
    34934: "JPEG XR",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
"""Compressions by their numbers, as tifffile lists them. Pillow knows WebP's, but its libtiff is built without."""


def refuse(data: bytes) -> None:
    """Refuses a TIFF that cannot be read, or only at length.

    Raises:
        UnreadableImage: absurdly many entries.
        UnsupportedImage: big-endian BigTIFF, a compression that is not read, more strips or tiles than is reasonable.
    """
    if data.startswith(b"MM\0+"):  # Pillow takes it for a classic one
        raise UnsupportedImage(
            "big-endian BigTIFF is not accepted; save it as plain TIFF, or as little-endian BigTIFF"
        )
    for tag, count, value in _entries(data):
        if tag == _COMPRESSION and (value in _NOT_READ or value not in COMPRESSION_INFO):
            raise UnsupportedImage(
                f"a TIFF compressed with {_NOT_READ.get(value, f'method {value}')} is not accepted; "
                "save it with LZW, deflate or no compression"
            )
        if tag in {_STRIP_OFFSETS, _TILE_OFFSETS} and count > MAX_STRIPS:
            raise UnsupportedImage(
                f"the TIFF is cut into {count:,} strips or tiles; save it in larger ones, "
                f"at most {MAX_STRIPS:,} are accepted"
            )


def _entries(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Tag, number of values, and the value of a SHORT or LONG that is alone.

    TIFF 6.0, section 2; BigTIFF has 64-bit offsets and counts.
    """
    order, is_big = "<" if data[:2] == b"II" else ">", data[2:4] == b"+\0"
    offset, number = ("Q", "Q") if is_big else ("I", "H")
    start = _unpacked(order + offset, data, 8 if is_big else 4)
    first = start + struct.calcsize(order + number)
    entry = struct.Struct(order + ("HHQ4s4x" if is_big else "HHI4s"))
    directory = data[first : first + _unpacked(order + number, data, start) * entry.size]
    entries = len(directory) // entry.size
    if entries > MAX_ENTRIES:
        raise UnreadableImage(
            f"the TIFF's directory has {entries:,} entries, at most {MAX_ENTRIES:,} are accepted; save it again as a plain one"
        )
    for tag, kind, count, field in entry.iter_unpack(directory[: entries * entry.size]):
        yield tag, count, _unpacked(order + ("H" if kind == _SHORT else "I"), field, 0)


def _unpacked(layout: str, data: bytes, at: int) -> int:
    """The number there; 0 where the file ends before."""
    field = data[at : at + struct.calcsize(layout)]
    return int(struct.unpack(layout, field)[0]) if len(field) == struct.calcsize(layout) else 0
