"""Any pixel mode that the accepted formats can hold -> 8-bit RGB.

1, L, LA, La, P, PA, RGB, RGBA, CMYK, YCbCr, LAB and 16-bit grey in; RGB out, with what was noticed.
"""

import numpy as np
from PIL import Image

from app.errors import UnsupportedImage
from app.images.headers import SampleFacts

CMYK_WARNING = "CMYK was converted to RGB without its colour profile"
DEPTH_WARNING = "16-bit samples were scaled to 8 bits"
ALPHA_WARNING = "transparent pixels were laid over the model's background colour"

_GREY_16 = {"I;16", "I;16B", "I;16L", "I;16N"}


def to_rgb(
    image: Image.Image, facts: SampleFacts, *, background: tuple[int, int, int]
) -> tuple[Image.Image, list[str]]:
    """A new RGB image that owns its pixels, and warnings. `image` is loaded.

    Raises:
        UnsupportedImage: 32-bit integers or floats, whose white nobody knows.
    """
    noticed: list[str] = []
    if image.mode in {"I", "F"}:
        depth = "32-bit float" if image.mode == "F" else "signed or 32-bit integer"
        raise UnsupportedImage(f"{depth} samples are not accepted; convert the picture to 8 or 16 bits")
    if facts.bits > 8:
        noticed.append(
            DEPTH_WARNING if facts.bits == 16 else f"{facts.bits}-bit samples were scaled to 8 bits"
        )
        # Pillow keeps the 16-bit colour key but has no use for it once it cut the samples to 8 bits.
        image.info.pop("transparency", None)
    if image.mode in _GREY_16:
        return _scale_grey(image, facts).convert("RGB"), noticed
    if image.mode == "CMYK":
        noticed.append(CMYK_WARNING)
    if image.has_transparency_data:
        rgb, was_transparent = _flatten(image, background)
        if was_transparent:
            noticed.append(ALPHA_WARNING)
    elif image.mode == "RGB":
        rgb = image.copy()  # 2 to 5 % of the decoding, and the upload's bytes can go
    else:
        rgb = image.convert("RGB")
    rgb.info = {}
    return rgb, noticed


def _scale_grey(image: Image.Image, facts: SampleFacts) -> Image.Image:
    """16-bit grey to 8, v * 255 / white rounded; Pillow's own convert("L") clips at 255 instead."""
    samples = np.asarray(image).astype(np.uint16)
    white = facts.declared_maximum
    if white < 65535 and int(samples.max()) > white:
        white = 65535  # the declaration does not fit the samples
    table = (np.arange(65536, dtype=np.uint32).clip(max=white) * 255 + white // 2) // white
    if facts.is_white_zero:
        table = 255 - table
    return Image.fromarray(table.astype(np.uint8)[samples])


def _flatten(image: Image.Image, background: tuple[int, int, int]) -> tuple[Image.Image, bool]:
    """Laid over the background, and whether any pixel was transparent at all."""
    if image.mode == "La":  # premultiplied grey; Pillow knows no direct way to RGBA
        image = image.convert("LA")
    rgba = image.convert("RGBA")
    alpha = rgba.getchannel("A")
    rgb = rgba.convert("RGB")
    if alpha.getextrema() == (255, 255):
        return rgb, False
    flat = Image.new("RGB", rgb.size, background)
    flat.paste(rgb, mask=alpha)
    return flat, True
