"""What the first directory of a TIFF says, read before Pillow opens the file and may work on it for seconds.

bytes -> nothing, or a refusal
"""

import struct
from collections.abc import Iterator

from app.errors import UnsupportedImage

MAX_STRIPS = 32_768
"""Of strips or tiles. Pillow starts a decoder for each, 7 to 15 us, and reads 64 KiB for it: this many take 0.25 s, a
million, in an 8 MB file, 10 to 18 s. Enough for a row a strip of any camera's picture, or 8 megapixels in tiles
of 16 x 16."""

_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324


def refuse(data: bytes) -> None:
    """Refuses a TIFF that cannot be read, or only at length.

    Raises:
        UnsupportedImage: more strips or tiles than is reasonable.
    """
    for tag, count in _entries(data):
        if tag in {_STRIP_OFFSETS, _TILE_OFFSETS} and count > MAX_STRIPS:
            raise UnsupportedImage(
                f"the TIFF is cut into {count:,} strips or tiles; save it in larger ones, "
                f"at most {MAX_STRIPS:,} are accepted"
            )


def _entries(data: bytes) -> Iterator[tuple[int, int]]:
    """Tag and number of values of each entry (TIFF 6.0, section 2; BigTIFF has 64-bit offsets and counts)."""
    order, is_big = ("<", data[2] == 43) if data[:2] == b"II" else (">", data[3] == 43)
    offset, number = ("Q", "Q") if is_big else ("I", "H")
    start = _unpacked(order + offset, data, 8 if is_big else 4)
    first = start + struct.calcsize(order + number)
    entry = struct.Struct(order + ("HHQ8x" if is_big else "HHI4x"))
    directory = data[first : first + _unpacked(order + number, data, start) * entry.size]
    whole = len(directory) // entry.size * entry.size
    for tag, _type, count in entry.iter_unpack(directory[:whole]):
        yield tag, count


def _unpacked(layout: str, data: bytes, at: int) -> int:
    """The number there; 0 where the file ends before."""
    field = data[at : at + struct.calcsize(layout)]
    return int(struct.unpack(layout, field)[0]) if len(field) == struct.calcsize(layout) else 0
