"""Promises of the look into a TIFF before it is opened: what is refused there, in every byte order, and why."""

import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.domain import Geometry
from app.errors import UnreadableImage, UnsupportedImage
from app.images.decode import Picture, decode

LITTLE, BIG, BIG_TIFF, BIG_ENDIAN_BIG_TIFF = b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"
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


@pytest.mark.parametrize("magic", [LITTLE, BIG, BIG_TIFF])
def test_a_directory_of_very_many_entries_is_refused_with_a_way_out(magic: bytes) -> None:
    """Pillow steps through each."""

    def of(entries: int) -> bytes:
        strip = {278: (LONG, [4]), 273: (LONG, [16]), 279: (LONG, [16])}
        more = {40_000 + number: (SHORT, [1]) for number in range(entries - 9)}
        return tiff(grey(4, 4) | strip | more, bytes(range(16)), magic=magic)

    few = read(of(4_000))

    with pytest.raises(UnreadableImage, match=r"directory has 5,000 entries.* 4,096 .*save it again"):
        read(of(5_000))
    assert few.width == 4


RAMP = np.array(
    [[[0, 40, 80], [10, 200, 30]], [[255, 1, 2], [90, 91, 250]], [[7, 8, 9], [60, 50, 40]]], np.uint8
)


def in_planes(samples: np.ndarray[Any, Any], *, magic: bytes, is_packed: bool = False) -> bytes:
    """(H, W, C), a strip a channel; `is_packed`: in deflate."""
    order = "<" if magic[:2] == b"II" else ">"
    height, width, channels = samples.shape
    planes = [
        np.ascontiguousarray(samples[..., c]).astype(samples.dtype.newbyteorder(order)).tobytes()
        for c in range(channels)
    ]
    planes = [zlib.compress(plane) if is_packed else plane for plane in planes]
    places = [16 + sum(len(plane) for plane in planes[:number]) for number in range(channels)]
    tags = {
        258: (SHORT, [8 * samples.itemsize] * channels), 259: (SHORT, [8 if is_packed else 1]),
        262: (SHORT, [2 if channels == 3 else 1]), 277: (SHORT, [channels]), 284: (SHORT, [2]),
        278: (LONG, [height]), 273: (LONG, places), 279: (LONG, [len(plane) for plane in planes]),
    }  # fmt: skip
    return tiff(grey(width, height) | tags, b"".join(planes), magic=magic)


@pytest.mark.parametrize("magic", [LITTLE, BIG, BIG_TIFF])
def test_planes_of_16_bits_are_refused_with_a_way_out(magic: bytes) -> None:
    """Pillow reads them without a word, to every other byte of the left half."""
    with pytest.raises(
        UnsupportedImage, match=r"separate planes.*save it with the channels of a pixel together"
    ):
        read(in_planes(RAMP.astype(np.uint16) * 257, magic=magic))


@pytest.mark.parametrize("magic", [LITTLE, BIG, BIG_TIFF])
def test_planes_of_8_bits_are_read(magic: bytes) -> None:
    assert np.array_equal(np.asarray(read(in_planes(RAMP, magic=magic)).image), RAMP)


@pytest.mark.parametrize("magic", [LITTLE, BIG, BIG_TIFF])
@pytest.mark.parametrize("depth", [8, 16])
def test_compressed_planes_are_read_at_any_depth(depth: int, magic: bytes) -> None:
    samples = RAMP if depth == 8 else RAMP.astype(np.uint16) * 257

    assert np.array_equal(np.asarray(read(in_planes(samples, magic=magic, is_packed=True)).image), RAMP)


@pytest.mark.parametrize("tags", [{262: (SHORT, [0])}, {266: (SHORT, [2])}, {258: (SHORT, [4])}])
def test_a_plane_whose_samples_pillow_would_not_turn_round_is_refused(
    tags: dict[int, tuple[int, Sequence[int]]],
) -> None:
    """Counted from white, bits from the right, or two samples a byte."""
    plane = {278: (LONG, [4]), 273: (LONG, [16]), 279: (LONG, [16]), 284: (SHORT, [2])}

    with pytest.raises(UnsupportedImage, match="separate planes"):
        read(tiff(grey(4, 4) | plane | tags, bytes(range(16))))


@pytest.mark.parametrize("magic", [LITTLE, BIG, BIG_TIFF])
@pytest.mark.parametrize(
    ("number", "name"),
    [
        (33003, "JPEG 2000"),
        (33005, "JPEG 2000"),
        (34712, "JPEG 2000"),
        (34887, "LERC"),
        (34934, "JPEG XR"),
        (50001, "WebP"),
        (50002, "JPEG XL"),
        (65000, "method 65000"),
    ],
)
def test_a_compression_that_is_not_read_is_named_with_a_way_out(number: int, name: str, magic: bytes) -> None:
    strip = {259: (SHORT, [number]), 278: (LONG, [4]), 273: (LONG, [16]), 279: (LONG, [16])}

    with pytest.raises(UnsupportedImage, match=rf"compressed with {name} is not .*; save it with LZW"):
        read(tiff(grey(4, 4) | strip, bytes(range(16)), magic=magic))


def test_a_compression_is_named_whichever_width_its_number_has() -> None:
    strip = {259: (LONG, [34712]), 278: (LONG, [4]), 273: (LONG, [16]), 279: (LONG, [16])}

    with pytest.raises(UnsupportedImage, match="JPEG 2000"):
        read(tiff(grey(4, 4) | strip, bytes(range(16)), magic=BIG))


@pytest.mark.parametrize(
    "compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "lzma", "zstd", "jpeg"]
)
def test_other_compressions_are_read(compression: str) -> None:
    buffer = BytesIO()
    Image.new("RGB", (16, 16), (90, 90, 90)).save(buffer, "TIFF", compression=compression)

    assert read(buffer.getvalue()).image.getpixel((3, 3)) == (90, 90, 90)


def test_big_endian_bigtiff_is_unsupported_not_corrupt() -> None:
    strip = {278: (LONG, [4]), 273: (LONG, [16]), 279: (LONG, [16])}

    with pytest.raises(UnsupportedImage, match="big-endian BigTIFF is not accepted; save it as plain TIFF"):
        read(tiff(grey(4, 4) | strip, bytes(range(16)), magic=BIG_ENDIAN_BIG_TIFF))


@pytest.mark.parametrize("length", range(4, 40, 3))
@pytest.mark.parametrize("magic", [LITTLE, BIG, BIG_TIFF])
def test_a_directory_that_is_not_there_is_corrupt(length: int, magic: bytes) -> None:
    with pytest.raises(UnreadableImage, match="truncated or corrupt"):
        read((magic + b"\x08\0\0\0\xff\xff\xff\xff" + b"\xff" * 40)[:length])
