"""Picture files of every accepted kind, those that Pillow cannot write by hand, and what decoding makes of them."""

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from app.domain import Geometry
from app.images.decode import Picture, decode

KEEP = Geometry(steps=())
TURN = Geometry(steps=(), orientation="apply")
MAX_PIXELS = 1_000_000
RAMP = np.array([[0, 128, 129, 257], [4095, 32768, 65406, 65535]], np.uint16)


def photograph(width: int = 61, height: int = 47) -> Image.Image:
    """A smooth picture with no symmetry, so that lossy formats keep it and a turned one shows."""
    y, x = np.mgrid[:height, :width]
    channels = (x * 255 // width, y * 255 // height, (x + 2 * y) * 255 // (width + 2 * height))
    return Image.fromarray(np.stack(channels, axis=2).astype(np.uint8))


def written(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def read(data: bytes, geometry: Geometry = KEEP) -> Picture:
    return decode(data, geometry=geometry, max_pixels=MAX_PIXELS)


def pixels(picture: Picture) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.asarray(picture.image).astype(np.int16)


def tiff(
    samples: np.ndarray[Any, Any], *, big_endian: bool = False, tags: dict[int, tuple[int, int]] | None = None
) -> bytes:
    """A one-strip TIFF by hand: what Pillow cannot write. `tags`: number -> (type, value)."""
    order = ">" if big_endian else "<"
    height, width = samples.shape
    entries = {
        256: (3, width), 257: (3, height), 258: (3, samples.itemsize * 8), 259: (3, 1), 262: (3, 1),
        273: (4, 8), 277: (3, 1), 278: (3, height), 279: (4, samples.nbytes),
    } | (tags or {})  # fmt: skip
    body = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    directory = struct.pack(order + "H", len(entries))
    for tag, (kind, value) in sorted(entries.items()):
        field = struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value)
        directory += struct.pack(order + "HHI", tag, kind, 1) + field
    header = (b"MM" if big_endian else b"II") + struct.pack(order + "HI", 42, 8 + len(body))
    return header + body + directory + struct.pack(order + "I", 0)


def png(width: int, height: int, *, depth: int, color: int, rows: bytes = b"", extra: bytes = b"") -> bytes:
    """A PNG by hand: 16 bits a channel, or a header that lies."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


LOSSLESS = {
    "PNG": written(photograph(), "PNG"),
    "BMP": written(photograph(), "BMP"),
    "WEBP": written(photograph(), "WEBP", lossless=True),
    "TIFF": written(photograph(), "TIFF"),
    "TIFF lzw": written(photograph(), "TIFF", compression="tiff_lzw"),
    "TIFF deflate": written(photograph(), "TIFF", compression="tiff_adobe_deflate"),
    "TIFF big": written(photograph(), "TIFF", big_tiff=True),
}
