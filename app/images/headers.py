"""What a file's header says, and what is refused on that alone, before a pixel is decoded."""

from dataclasses import dataclass

from PIL import ImageFile, TiffImagePlugin
from PIL.TiffImagePlugin import TiffImageFile

from app.errors import ImageTooLarge, UnsupportedImage
from app.images import directory, markers

_NEW_SUBFILE_TYPE, _MAX_SAMPLE_VALUE, _DNG_VERSION = 254, 281, 50706


@dataclass(frozen=True, slots=True)
class SampleFacts:
    """What the header says of the samples; a decoded image no longer tells."""

    bits: int
    """Per sample, as stored."""
    declared_maximum: int
    """The value that means white."""
    is_white_zero: bool
    """Grey that counts from white to black, which Pillow inverts at 8 bits but not at 16."""


def refuse_before_opening(data: bytes, kind: str, *, max_pixels: int) -> None:
    """Refuses what would already cost time or memory when Pillow merely opens or starts it.

    Raises:
        ImageTooLarge: a WebP canvas above the limit; libwebp allocates it on opening.
        UnreadableImage: a JPEG of absurdly many scans or segments.
        UnsupportedImage: a BMP with run lengths; a TIFF of absurdly many strips; a JPEG or TIFF of a rare kind.
    """
    if kind == "JPEG":
        markers.refuse(data)
    if kind == "WEBP" and (size := _webp_size(data)):
        refuse_too_large(size, max_pixels=max_pixels)
    if kind == "BMP" and _has_run_lengths(data):
        raise UnsupportedImage(
            "a BMP compressed by run lengths (RLE) is not accepted; save it uncompressed, or as PNG"
        )
    if kind == "TIFF":
        directory.refuse(data)


def refuse_too_large(size: tuple[int, int], *, max_pixels: int) -> None:
    """Raises ImageTooLarge with both numbers when width x height is above the limit."""
    width, height = size
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"the picture has {width} x {height} = {width * height:,} pixels; at most {max_pixels:,} are accepted"
        )


def refuse_tiff(file: TiffImageFile, *, max_pixels: int) -> None:
    """Refuses TIFFs that are not what they seem.

    Raises:
        UnsupportedImage: a camera raw file, whose first page is only a preview; planes that Pillow reads wrongly;
            colours whose white it does not ask for.
        ImageTooLarge: tiles far larger than the picture; each is decoded whole.
    """
    subfile_type = file.tag_v2.get(_NEW_SUBFILE_TYPE, 0)
    if _DNG_VERSION in file.tag_v2 or (isinstance(subfile_type, int) and subfile_type & 1):
        raise UnsupportedImage(
            "the TIFF's first page is a preview, as in a camera's raw file; export the picture as plain TIFF"
        )
    if _has_misread_planes(file):
        raise UnsupportedImage(
            "the TIFF keeps its channels in separate planes, and not as plain 8-bit samples; save it with the channels "
            "of a pixel together (contiguous, also called chunky or interleaved)"
        )
    samples = _tiff_facts(file)
    if file.mode in {"RGB", "RGBA", "RGBX"} and samples.declared_maximum < 2**samples.bits - 1:
        # Pillow keeps the upper byte of each sample; the picture would be almost black, and be answered.
        raise UnsupportedImage(
            f"the TIFF's {samples.bits}-bit colours count to {samples.declared_maximum} only (MaxSampleValue); save it "
            "with 8 bits a channel, or with its colours stretched over all 16"
        )
    width, height = (file.tag_v2.get(tag) for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH))
    if isinstance(width, int) and isinstance(height, int):
        refuse_too_large((width, height), max_pixels=max_pixels)


def has_more_pages(file: ImageFile.ImageFile) -> bool:
    """Whether a second picture follows. Never counts them: a hostile TIFF may chain millions.

    TIFF: the first directory names a next one. PNG, WebP: animated, says the header. JPEG: has an MPO
    index (its further pictures are thumbnails, depth or the other eye).
    """
    return bool(getattr(file, "is_animated", False)) or "mp" in file.info


def facts(file: ImageFile.ImageFile, data: bytes) -> SampleFacts:
    """Depth and meaning of the samples."""
    if isinstance(file, TiffImageFile):
        return _tiff_facts(file)
    bits = data[24] if file.format == "PNG" else 8  # IHDR: length 4, name 4, width 4, height 4, depth
    return SampleFacts(bits=bits, declared_maximum=2**bits - 1, is_white_zero=False)


def _has_misread_planes(file: TiffImageFile) -> bool:
    """Whether Pillow would take an uncompressed plane for something else, without a word.

    It unpacks each plane by the first letters of the format's name alone: of "RGB;16L" only the "R" is left, so that
    16-bit samples come out as twice as many of 8 bits; of "L;I" the inversion is lost. What is compressed goes
    through libtiff, which knows better.
    """
    tags = file.tag_v2
    if tags.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1) != 2 or file.info["compression"] != "raw":
        return False
    bits = set(tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))
    is_plain = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 0) != 0
    return not (is_plain and bits <= {1, 8} and tags.get(TiffImagePlugin.FILLORDER, 1) == 1)


def _tiff_facts(file: TiffImageFile) -> SampleFacts:
    tags = file.tag_v2
    bits = max(tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))
    full = 2**bits - 1
    declared = tags.get(_MAX_SAMPLE_VALUE, full)
    if isinstance(declared, tuple):
        declared = max(declared, default=full)
    # TIFF 6.0 calls this tag a statistic, and some writers store the brightest sample found. Only a whole
    # number of bits (1023, 4095, 16383) is a camera's depth; anything else would stretch the contrast.
    is_depth = isinstance(declared, int) and 255 <= declared <= full and (declared & (declared + 1)) == 0
    return SampleFacts(
        bits=bits,
        declared_maximum=declared if is_depth else full,
        is_white_zero=tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0,
    )


def _has_run_lengths(data: bytes) -> bool:
    """BI_RLE8 or BI_RLE4. Pillow's decoder of these is written in Python: 29 KB of 49 megapixels took 13 s."""
    header_length, compression = (int.from_bytes(data[at : at + 4], "little") for at in (14, 30))
    return header_length >= 40 and compression in {1, 2}  # the 12 bytes of OS/2 1.x name no compression


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from the first chunk (RFC 9649); None where the header is broken."""
    chunk = data[12:16]
    if len(data) < 30:
        return None
    if chunk == b"VP8X":  # 24-bit canvas, minus one
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if chunk == b"VP8L":  # two times 14 bits, minus one
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":  # 14 bits each, below 2 bits of scaling
        return (
            int.from_bytes(data[26:28], "little") & 0x3FFF,
            int.from_bytes(data[28:30], "little") & 0x3FFF,
        )
    return None
