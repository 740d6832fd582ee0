"""Tells from a file's first bytes what it is; names and headers of the sender are never asked.

bytes -> the kind's name, accepted or refused. Only looks; decodes nothing.
"""

from typing import Literal, TypeGuard, get_args

from app.errors import UnreadableImage, UnsupportedImage

AcceptedFormat = Literal["JPEG", "PNG", "TIFF", "BMP", "WEBP"]
ACCEPTED = "JPEG, PNG, TIFF, BMP and WebP"

# Magic numbers at offset 0; the longer of two that share a beginning comes first.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff\xf7", "JPEG-LS"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\x00\x10\x00\x00\x00CR", "Canon raw (CR2)"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),  # BigTIFF: 64-bit offsets
    (b"MM\x00+", "TIFF"),  # refused, with a way out, where the directory is read
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"8BPS", "Photoshop (PSD)"),
    (b"gimp xcf", "GIMP (XCF)"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"SIMPLE  =", "FITS"),
    (b"DDS ", "DDS"),
    (b"qoif", "QOI"),
    (b"FUJIFILMCCD-RAW", "Fujifilm raw (RAF)"),
    (b"IIRO", "Olympus raw (ORF)"),
    (b"IIU\x00", "Panasonic raw (RW2)"),
    (b"\x93NUMPY", "NumPy array"),
    (b"PK\x03\x04", "ZIP archive"),
    (b"\x1f\x8b", "gzip archive"),
    (b"\x1aE\xdf\xa3", "Matroska or WebM video"),
)
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_NETPBM = {b"P%d" % number for number in range(1, 8)}
_BASE64_BEGINNINGS = (b"data:image", b"/9j/", b"iVBORw0KGgo", b"SUkqA", b"TU0AK", b"UklGR")


def sniff(data: bytes) -> AcceptedFormat:
    """The accepted format that these bytes claim to be.

    Raises:
        UnsupportedImage: a known kind that is not accepted; the message names it.
        UnreadableImage: empty, or nothing that is known.
    """
    if not data:
        raise UnreadableImage("the image is empty: no bytes were sent")
    kind = _kind(data)
    if kind is None:
        if data.lstrip()[:16].startswith(_BASE64_BEGINNINGS):
            raise UnreadableImage("the image looks like base64 text; send the file's bytes as they are")
        raise UnreadableImage(f"these bytes are no image of a known kind; accepted are {ACCEPTED}")
    if not _is_accepted(kind):
        raise UnsupportedImage(f"{kind} is not accepted; send {ACCEPTED}")
    return kind


def _is_accepted(kind: str) -> TypeGuard[AcceptedFormat]:
    return kind in get_args(AcceptedFormat)


def _kind(data: bytes) -> str | None:
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _iso_media(data)
    return _weakly_marked(data)


def _weakly_marked(data: bytes) -> str | None:
    """Kinds with a short mark, or one that is not at the beginning."""
    if data[128:132] == b"DICM":
        return "DICOM"
    if data[:2] in _NETPBM and data[2:3].isspace():
        return "Netpbm (PBM, PGM, PPM)"
    # Two letters are a weak sign, so the header's declared length (bytes 14..17) has to make sense too.
    if data[:2] == b"BM" and 12 <= int.from_bytes(data[14:18], "little") <= 256:
        return "BMP"
    return _markup(data)


def _iso_media(data: bytes) -> str:
    """What an ISO base media file holds: its major brand at byte 8, compatible brands from byte 16."""
    length = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[at : at + 4] for at in (8, *range(16, length, 4))}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if brands & _HEIF_BRANDS:
        return "HEIC"
    return "Canon raw (CR3)" if b"crx " in brands else "video (MP4 or QuickTime)"


def _markup(data: bytes) -> str | None:
    head = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return "HTML"
    return "SVG" if head.startswith((b"<svg", b"<?xml", b"<!--")) and b"<svg" in head else None
