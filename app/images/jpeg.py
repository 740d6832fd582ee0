"""A JPEG's pixels from libjpeg-turbo into memory that Pillow then works on, without a copy.

bytes + the header as Pillow read it -> RGB image, or None where Pillow should decode

Pillow decodes with the same library, so the pixels are the same; what it adds is a memory of its own, touched
twice: at 12 megapixels that costs as much as the decoding. Pillow stays the reference, as training used it: nothing
is taken from here unless both agree on this machine, and whatever makes libjpeg-turbo so much as warn is left to it.
"""

from functools import cache
from io import BytesIO

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

_COLOR = "YCbCr"
"""What cameras write. The rest (grey, CMYK, RGB) is small, rare, or has conversions of its own in Pillow."""
_SUBSAMPLINGS = {"444", "422", "420", "440", "411"}


def decoded(data: bytes, file: JpegImageFile, *, factor: int = 1) -> Image.Image | None:
    """The picture as `file.load()` would leave it; None where Pillow has to decode it, and to find what is wrong.

    Args:
        data: the file's bytes.
        file: opened from them and not loaded.
        factor: 1, 2, 4 or 8: the sides are divided by it and rounded up, inside the inverse cosine transform.
    """
    if file.mode != "RGB":
        return None
    reduced = -(-file.width // factor), -(-file.height // factor)
    try:
        height, width, color, subsampling = simplejpeg.decode_jpeg_header(data)
        # Of a file with two headers each library may believe another, and the limit was checked for Pillow's.
        if (width, height) != file.size or color != _COLOR:
            return None
        if subsampling not in _SUBSAMPLINGS or not _agrees(subsampling, factor):
            return None
        pixels = _pixels(data, reduced)
    except Exception:  # noqa: BLE001 - whatever is wrong, Pillow says it; strict: also what is only worth a warning
        return None
    return as_image(pixels) if pixels.shape == (reduced[1], reduced[0], 4) else None


def opened(data: bytes, *, factor: int) -> JpegImageFile:
    """For Pillow's own decoding at a fraction of the size."""
    file = JpegImageFile(BytesIO(data))
    reduce(file, factor)
    return file


def reduce(file: JpegImageFile, factor: int) -> None:
    """Tells Pillow to decode at a fraction of the size: sides divided by `factor` (1, 2, 4, 8) and rounded up."""
    if factor > 1:
        file.draft(None, (file.width // factor, file.height // factor))


def _pixels(data: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(h, w, 4) uint8; the fourth byte is padding."""
    width, height = size
    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGBX", min_width=width, min_height=height)
    return pixels


def as_image(pixels: NDArray[np.uint8]) -> Image.Image:
    """An RGB image in this memory: Pillow keeps RGB in four bytes a pixel too."""
    height, width, _ = pixels.shape
    padded = Image.frombuffer("RGBX", (width, height), pixels, "raw", "RGBX", 0, 1)
    return Image.fromarrow(padded, "RGB", padded.size)


@cache
def _agrees(subsampling: str, factor: int) -> bool:
    """Whether Pillow, linked with some other libjpeg, gives the same pixels for such files; asked once a process."""
    noise = np.random.default_rng(0).integers(0, 256, (67, 85, 3), dtype=np.uint8)
    data = simplejpeg.encode_jpeg(noise, quality=90, colorsubsampling=subsampling)
    file = opened(data, factor=factor)
    return np.array_equal(np.asarray(file), _pixels(data, file.size)[..., :3])
