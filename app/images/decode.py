"""Turns an uploaded file into RGB pixels.

bytes -> sniff -> header: kind and size -> pixels -> orientation, depth, colour -> Picture

Knows nothing of HTTP, queues or models, and changes no global of Pillow's. Raises a RequestError for
anything the sender could have avoided; any other exception is our bug.
"""

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin

from app.domain import Geometry
from app.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from app.images.sniff import sniff, webp_size

MAX_SAMPLE_VALUE_TAG = 281
"""TIFF 6.0: the largest value a sample may have; cameras of 10 and 12 bits say 1023 or 4095 here."""

# What Pillow's readers raise on damaged files, besides OSError: SyntaxError on some broken PNGs and TIFFs,
# ValueError and TypeError on odd tags, and what struct, zlib and indexing raise beneath it.
DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
    EOFError,
    OverflowError,
    ZeroDivisionError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
)
RESAVE = "the file is truncated or damaged; send it again, or save it anew"


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture."""

    image: Image.Image
    """Mode RGB, loaded."""
    format: str
    """JPEG, PNG, TIFF, BMP or WEBP."""
    warnings: tuple[str, ...]
    """What was noticed and settled, for the sender."""

    @property
    def width(self) -> int:
        """Pixels."""
        return self.image.width

    @property
    def height(self) -> int:
        """Pixels."""
        return self.image.height

    @property
    def nbytes(self) -> int:
        """Memory held; Pillow keeps RGB in four bytes a pixel."""
        return 4 * self.image.width * self.image.height


def decode(data: bytes, *, geometry: Geometry, max_pixels: int) -> Picture:
    """Read one picture.

    Args:
        data: the whole file.
        geometry: whose orientation and alpha_background are the manifest's.
        max_pixels: told from the header, before anything is decoded.

    Raises:
        UnreadableImage: truncated, corrupt, not an image.
        UnsupportedImage: an image of a kind or depth that is not accepted.
        ImageTooLarge: more pixels than allowed.
    """
    kind = sniff(data)
    if kind == "WEBP" and (size := webp_size(data)) is not None:
        _check_size(*size, max_pixels)
    noticed: list[str] = []
    try:
        with _open(data, kind) as image:
            _check_size(image.width, image.height, max_pixels)
            if getattr(image, "is_animated", False):
                noticed.append("the file has several pages or frames; the first was used")
            _refuse_wide_samples(image)
            image.load()  # open() is lazy; truncation shows only here
            oriented = _oriented(image, geometry, noticed)
            rgb = _rgb(oriented, geometry.alpha_background, noticed)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(
            f"more pixels than the {max_pixels:,} that are allowed; send a smaller picture"
        ) from error
    except DAMAGED as error:
        raise UnreadableImage(f"not a readable {kind}: {RESAVE}") from error
    return Picture(rgb, kind, tuple(noticed))


def _open(data: bytes, kind: str) -> Image.Image:
    # MPO is what phones call a JPEG with a second picture behind it; Pillow's JPEG reader finds that out.
    return Image.open(io.BytesIO(data), formats=[kind])


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"{width} x {height} pixels are more than the {max_pixels:,} that are allowed; send a smaller picture "
            "or raise LINESIDE_MAX_IMAGE_MEGAPIXELS"
        )
    if width < 1 or height < 1:
        raise UnreadableImage(f"the picture has no pixels ({width} x {height})")


def _refuse_wide_samples(image: Image.Image) -> None:
    """32-bit integers and floats have no declared white; any scale would be a guess."""
    if image.mode in {"I", "F"}:
        samples = "32-bit or signed integer" if image.mode == "I" else "floating point"
        raise UnsupportedImage(f"{samples} samples are not accepted; save the picture with 8 or 16 bits")


def _oriented(image: Image.Image, geometry: Geometry, noticed: list[str]) -> Image.Image:
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if orientation == 1:
        return image
    if geometry.orientation == "apply":
        return ImageOps.exif_transpose(image)
    noticed.append(f"EXIF orientation {orientation} was ignored, as the model's manifest declares")
    return image


def _rgb(image: Image.Image, background: tuple[int, int, int], noticed: list[str]) -> Image.Image:
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image.copy()  # from the reader's own subclass, so that the file's bytes are let go
    if mode.startswith("I;16"):
        noticed.append("16-bit samples were scaled to 8 bits")
        return _scaled_grey(image).convert("RGB")
    if mode in {"LA", "La", "PA", "RGBA", "RGBa"} or "transparency" in image.info:
        noticed.append("transparency was laid over the background colour that the manifest declares")
        above = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", above.size, (*background, 255)), above).convert("RGB")
    if mode == "CMYK":
        noticed.append("CMYK was converted to RGB without a colour profile")
    if mode not in {"1", "L", "P", "CMYK", "YCbCr", "LAB", "HSV", "RGBX"}:
        raise UnsupportedImage(f"pixels of kind {mode} are not accepted; save the picture as 8-bit RGB")
    return image.convert("RGB")


def _scaled_grey(image: Image.Image) -> Image.Image:
    """16-bit grey over its declared range, rounded; Pillow's own convert would clip at 255."""
    samples = np.asarray(image).astype(np.uint32)
    white = 65535
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        declared = image.tag_v2.get(MAX_SAMPLE_VALUE_TAG)
        declared = declared[0] if isinstance(declared, tuple) else declared
        bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0]
        white = declared if isinstance(declared, int) and 255 <= declared <= 65535 else (1 << bits) - 1
    return Image.fromarray(((np.minimum(samples, white) * 255 + white // 2) // white).astype(np.uint8))
