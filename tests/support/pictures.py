"""Picture files made on the spot by the real libraries."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "TIFF": "image/tiff",
    "BMP": "image/bmp",
    "WEBP": "image/webp",
}


def pixels(seed: int = 0, *, width: int = 160, height: int = 120) -> NDArray[np.uint8]:
    """A smooth, colourful picture; each seed another one."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)


def picture_file(seed: int = 0, file_format: str = "JPEG", **options: Any) -> bytes:
    """The same picture as a file; options are Pillow's, width and height ours."""
    size = {key: options.pop(key) for key in ("width", "height") if key in options}
    buffer = io.BytesIO()
    Image.fromarray(pixels(seed, **size)).save(buffer, file_format, **options)
    return buffer.getvalue()


def damaged_file(seed: int = 0) -> bytes:
    """A JPEG that was cut off."""
    whole = picture_file(seed, width=640, height=480)
    return whole[: len(whole) // 2]
