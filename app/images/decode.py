"""Turns an uploaded file into an 8-bit RGB picture.

bytes -> sniff -> header (size, limits) -> pixels -> 8-bit RGB -> Picture

A JPEG's pixels may come smaller than the file's, for the network alone, where the manifest allows it.
Sniffed from the bytes, bounded before anything is decoded. ICC profiles are ignored, as training code
ignores them. Knows nothing of HTTP, queues or models. Nothing global is touched, so any number of threads
may decode.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Literal

from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ExifTags import Base as ExifTag
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from app.domain import Geometry, Size
from app.errors import ImageTooLarge, RequestError, UnreadableImage, UnsupportedImage
from app.images import headers, jpeg
from app.images.modes import to_rgb
from app.images.scaling import reduction
from app.images.sniff import AcceptedFormat, sniff

# The plugins by name instead of Image.open: no other plugin can be reached, and the limit is ours alone
# (Image.open warns or raises by a global that every thread shares).
_PLUGINS: dict[AcceptedFormat, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "TIFF": TiffImageFile,
    "BMP": BmpImageFile,
    "WEBP": WebPImageFile,
}

# What an EXIF orientation tag asks for (EXIF 2.32, tag 0x0112); 1 is upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_AS_STORED = _UPRIGHT | {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


@dataclass(frozen=True, slots=True)
class Reduced:
    """A picture decoded smaller, for the network."""

    image: Image.Image
    """RGB; its pixel (x, y) is the mean of `factor` x `factor` pixels of the picture, from (factor x, factor y) on."""
    factor: int
    """2, 4 or 8."""
    size: Size
    """Of the picture itself."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded upload: RGB, 8 bits a channel, fully in memory, free of the file it came from."""

    image: Image.Image
    """All of its pixels; where nobody keeps the picture, only those of `reduced`."""
    format: str
    warnings: tuple[str, ...] = ()
    """What was noticed while reading, for the sender."""
    reduced: Reduced | None = None
    """What the manifest's steps begin with instead of `image`."""

    @property
    def width(self) -> int:
        """Pixels, of the file's picture."""
        return self.image.width if self.reduced is None else self.reduced.size.width

    @property
    def height(self) -> int:
        """Pixels, of the file's picture."""
        return self.image.height if self.reduced is None else self.reduced.size.height

    @property
    def nbytes(self) -> int:
        """Memory held; Pillow keeps RGB in four bytes a pixel."""
        pixels = self.image.width * self.image.height
        if self.reduced is not None and self.reduced.image is not self.image:
            pixels += self.reduced.image.width * self.reduced.image.height
        return 4 * pixels


def decode(data: bytes, *, geometry: Geometry, max_pixels: int, keeps_picture: bool = True) -> Picture:
    """The picture in these bytes; orientation and background as the manifest's geometry says.

    Args:
        data: the file.
        geometry: the manifest's. Where its `decode` is "scaled", a large JPEG is decoded smaller for its steps.
        max_pixels: of the file's picture.
        keeps_picture: false where nothing but the network looks at it: what is decoded smaller is then not
            decoded in full besides.

    Raises:
        UnsupportedImage: an image, but of a kind that is not accepted.
        ImageTooLarge: more than `max_pixels`, told from the header.
        UnreadableImage: anything else that keeps these bytes from being a picture.
    """
    kind = sniff(data)
    headers.refuse_before_opening(data, kind, max_pixels=max_pixels)
    picture = _decoded(data, kind, geometry, max_pixels)
    if picture.reduced is None or not keeps_picture:
        return picture
    whole = _decoded(data, kind, replace(geometry, decode="exact"), max_pixels)
    return replace(whole, reduced=picture.reduced)


def _decoded(data: bytes, kind: AcceptedFormat, geometry: Geometry, max_pixels: int) -> Picture:
    with _reading(kind), _PLUGINS[kind](BytesIO(data)) as file:
        headers.refuse_too_large(file.size, max_pixels=max_pixels)
        if isinstance(file, TiffImageFile):
            headers.refuse_tiff(file, max_pixels=max_pixels)
        warnings = []
        if headers.has_more_pages(file):
            warnings.append("the file holds several pictures; the first was used")
        facts = headers.facts(file, data)
        # Pillow turns a TIFF upright while loading and then forgets the tag; elsewhere the tag may follow
        # the pixels (PNG) and is only known afterwards.
        orientation = _orientation(file) if kind in {"TIFF", "JPEG"} else 1
        size, factor = Size(file.height, file.width), 1
        image = None
        if isinstance(file, JpegImageFile):
            factor = _factor(size, orientation, geometry)
            image = jpeg.decoded(data, file, factor=factor)
        if image is None:
            if isinstance(file, JpegImageFile):
                jpeg.reduce(file, factor)
            file.load()
            if kind not in {"TIFF", "JPEG"}:
                orientation = _orientation(file)
            image, noticed = to_rgb(file, facts, background=geometry.alpha_background)
            warnings += noticed
    if orientation in _UPRIGHT:
        image = _oriented(image, orientation, is_upright=kind == "TIFF", wanted=geometry.orientation)
        if geometry.orientation == "ignore":
            warnings.append(
                f"the EXIF orientation tag ({orientation}) was ignored, as this model's training did"
            )
    if factor == 1:
        return Picture(image, kind, tuple(warnings))
    if _is_turned(orientation, geometry):
        size = Size(size.width, size.height)
    return Picture(image, kind, tuple(warnings), Reduced(image, factor, size))


@contextmanager
def _reading(kind: AcceptedFormat) -> Iterator[None]:
    """Whatever a plugin raises on bad bytes becomes one error that says nothing of the plugin.

    All exceptions, not a list of them: the plugins raise OSError, SyntaxError, ValueError, struct.error,
    KeyError, AssertionError, MemoryError and more, each on some file, and nothing but Pillow and this
    room's conversions runs inside.
    """
    try:
        yield
    except RequestError:
        raise
    except Exception as error:
        if kind == "TIFF" and "unknown pixel mode" in str(error):
            raise UnsupportedImage(
                "the TIFF has a pixel layout that is not accepted; convert it to 8 or 16 bits, grey or RGB"
            ) from error
        if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
            raise ImageTooLarge(f"the {kind} declares more pixels than can be decoded") from error
        raise UnreadableImage(f"the {kind} is truncated or corrupt and could not be read") from error


def _orientation(file: ImageFile.ImageFile) -> int:
    """The EXIF orientation, 1..8; 1 where there is none or it cannot be read."""
    try:
        value = file.getexif().get(ExifTag.Orientation, 1)
    except Exception:  # noqa: BLE001 - broken metadata around a good picture is no reason to refuse it
        return 1
    return value if isinstance(value, int) and value in _UPRIGHT else 1


def _is_turned(orientation: int, geometry: Geometry) -> bool:
    """Whether a JPEG's width and height change places."""
    return geometry.orientation == "apply" and orientation in {5, 6, 7, 8}


def _factor(size: Size, orientation: int, geometry: Geometry) -> int:
    """By what a JPEG's sides are divided while it is decoded."""
    if geometry.decode == "exact":
        return 1
    upright = Size(size.width, size.height) if _is_turned(orientation, geometry) else size
    factor = reduction(geometry.steps, upright)
    if geometry.orientation == "apply" and orientation in _UPRIGHT:
        # Turned round, the last column becomes the first; it must then be a whole one for pixels to keep their place.
        while size.width % factor or size.height % factor:
            factor //= 2
    return factor


def _oriented(
    image: Image.Image, orientation: int, *, is_upright: bool, wanted: Literal["ignore", "apply"]
) -> Image.Image:
    if is_upright == (wanted == "apply"):
        return image
    return image.transpose((_AS_STORED if is_upright else _UPRIGHT)[orientation])
