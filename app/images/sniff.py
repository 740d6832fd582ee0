"""What a file is, told from its first bytes, never from its name or its declared type."""

import struct
from typing import Final

from app.errors import UnreadableImage, UnsupportedImage

ACCEPTED: Final = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")

_ACCEPTED_STARTS: Final = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),  # BigTIFF
    (b"MM\x00+", "TIFF"),
    (b"BM", "BMP"),
)
_REFUSED_STARTS: Final = (
    (b"GIF8", "GIF"),
    (b"%PDF", "PDF"),
    (b"8BPS", "PSD"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"<svg", "SVG"),
    (b"qoif", "QOI"),
    (b"DDS ", "DDS"),
    (b"v/1\x01", "OpenEXR"),
    (b"P4\n", "PNM"),
    (b"P5\n", "PNM"),
    (b"P6\n", "PNM"),
    (b"SIMPLE  =", "FITS"),
)
_ISO_BRANDS: Final = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"), "HEIC"),
}


def sniff(data: bytes) -> str:
    """One of ACCEPTED.

    Raises:
        UnsupportedImage: a known kind that is not accepted.
        UnreadableImage: anything else.
    """
    for start, kind in _ACCEPTED_STARTS:
        if data.startswith(start):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    refused = next((kind for start, kind in _REFUSED_STARTS if data.startswith(start)), None)
    if data[4:8] == b"ftyp":
        refused = _ISO_BRANDS.get(data[8:12], "video or HEIF")
    elif data[:5] == b"<?xml" and b"<svg" in data[:1024]:
        refused = "SVG"
    elif data[128:132] == b"DICM":
        refused = "DICOM"
    if refused is not None:
        raise UnsupportedImage(
            f"{refused} is not accepted; send {', '.join(ACCEPTED[:-1])} or {ACCEPTED[-1]}"
        )
    raise UnreadableImage(
        "not a picture: the first bytes are of no known kind; send the file itself, "
        f"as {', '.join(ACCEPTED[:-1])} or {ACCEPTED[-1]}"
    )


def webp_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) from a WebP header; None where it is not there.

    Pillow's decoder allocates the canvas when it opens the file, before anyone can ask for its size.
    Source: RFC 9649, sections 2.5 to 2.7.
    """
    chunk, body = data[12:16], data[20:30]
    if len(body) < 10:
        return None
    if chunk == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", body, 1)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    return None
