"""Promises of the look into a TIFF before it is opened: what is refused there, in every byte order, and why."""

import struct
from collections.abc import Sequence

import numpy as np
import pytest

from app.domain import Geometry
from app.errors import UnsupportedImage
from app.images.decode import Picture, decode

LITTLE, BIG, BIG_TIFF = b"II*\0", b"MM\0*", b"II+\0"
SHORT, LONG = 3, 4


def tiff(
    tags: dict[int, tuple[int, Sequence[int]]], samples: bytes, *, magic: bytes = LITTLE, at: int = 16
) -> bytes:
    """A TIFF by hand. `tags`: number -> (type, values); the samples lie from byte `at` on."""
    order, is_big = "<" if magic[:2] == b"II" else ">", b"+" in magic
    count, offset, room = ("Q", "Q", 8) if is_big else ("I", "I", 4)
    samples += bytes(len(samples) % 2)
    tables, entries = b"", b""
    for tag, (kind, values) in sorted(tags.items()):
        field = struct.pack(f"{order}{len(values)}{'H' if kind == SHORT else 'I'}", *values)
        if len(field) > room:
            place = at + len(samples) + len(tables)
            tables += field
            field = struct.pack(order + offset, place)
        entries += struct.pack(order + "HH" + count, tag, kind, len(values)) + field.ljust(room, b"\0")
    place = at + len(samples) + len(tables)
    head = magic + (struct.pack(order + "HHQ", 8, 0, place) if is_big else struct.pack(order + "I", place))
    number = struct.pack(order + ("Q" if is_big else "H"), len(tags))
    return head.ljust(at, b"\0") + samples + tables + number + entries + bytes(room)


def grey(width: int, height: int) -> dict[int, tuple[int, Sequence[int]]]:
    """The tags of an 8-bit grey picture, but for where its samples are."""
    shorts = {258: 8, 259: 1, 262: 1, 277: 1}
    return {256: (LONG, [width]), 257: (LONG, [height])} | {tag: (SHORT, [v]) for tag, v in shorts.items()}


def read(data: bytes) -> Picture:
    return decode(data, geometry=Geometry(steps=()), max_pixels=1_000_000)


def in_pieces(pieces: int, kind: str, magic: bytes) -> bytes:
    """A row of four pixels a piece, all pieces the same four bytes."""
    if kind == "strips":
        layout = {278: (LONG, [1]), 273: (LONG, [16] * pieces), 279: (LONG, [4] * pieces)}
    else:
        layout = {322: (SHORT, [4]), 323: (SHORT, [1]), 324: (LONG, [16] * pieces), 325: (LONG, [4] * pieces)}
    return tiff(grey(4, pieces) | layout, bytes((10, 20, 30, 40)), magic=magic)


@pytest.mark.parametrize("magic", [LITTLE, BIG, BIG_TIFF])
@pytest.mark.parametrize("kind", ["strips", "tiles"])
def test_a_tiff_in_very_many_pieces_is_refused_with_a_way_out(kind: str, magic: bytes) -> None:
    few = read(in_pieces(3_000, kind, magic))

    with pytest.raises(UnsupportedImage, match=r"40,000 strips or tiles; save it in larger ones.* 32,768"):
        read(in_pieces(40_000, kind, magic))
    assert np.array_equal(np.asarray(few.image)[..., 0], [[10, 20, 30, 40]] * 3_000)
