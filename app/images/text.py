"""Words on pictures, in English and Korean, on a machine that has no fonts.

The font comes with the package, since Pillow's own has no Korean: part of Noto Sans CJK KR with all 11,172
syllables, Latin, Greek and Cyrillic (fonts/OFL.txt). For a sign that it has not, it draws an empty box.
"""

import math
from bisect import bisect_left
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

INK = (32, 33, 38)
FAINT = (104, 106, 116)
PAPER = (250, 250, 248)

_FILE = "NotoSansCJKkr-Regular-subset.otf"
_SMALLEST, _LARGEST = 12, 96
"""Pixels: what is still read, and what is no longer a caption."""
_PARTS = " -_./"
"""After one of these a name may be broken."""


class Font(NamedTuple):
    """The bundled font at one size."""

    face: ImageFont.FreeTypeFont
    em: int
    """Pixels; the unit that everything beside the text is measured in."""

    @property
    def line(self) -> int:
        """Pixels from one line of text to the next."""
        return round(1.4 * self.em)


def font_for(width: int, height: int) -> Font:
    """Text that is neither lost on a picture of this size nor covers it: 12 pixels on 320 x 239, 17 on 768 x 574."""
    return font_of(round(math.sqrt(width * height) / 40))


def font_of(em: int) -> Font:
    """The font at this size in pixels, within what is readable."""
    em = min(max(em, _SMALLEST), _LARGEST)
    # The basic layout: the same pixels whether or not the machine has a text shaper, and neither script needs one.
    face = ImageFont.truetype(BytesIO(_font_file()), em, layout_engine=ImageFont.Layout.BASIC)
    return Font(face, em)


def width_of(text: str, font: Font) -> int:
    """Pixels."""
    return math.ceil(font.face.getlength(text))


def fitted(text: str, font: Font, width: int) -> str:
    """One line that is not wider than this, cut in the middle if it must be; control characters are spaces.

    In the middle, since names of classes, layers and files often begin alike and differ at their ends.
    """
    text = _in_one_line(text)
    if width_of(text, font) <= width:
        return text
    kept = bisect_left(range(1, len(text)), True, key=lambda size: width_of(_cut(text, size), font) > width)
    shorter = _cut(text, kept)
    return shorter if width_of(shorter, font) <= width else ""


def in_two_lines(text: str, font: Font, width: int) -> list[str]:
    """As `fitted`, on one line where that is enough, else on two; the first ends where a part of a name does."""
    text = _in_one_line(text)
    if width_of(text, font) <= width:
        return [text] if text else []
    size = bisect_left(range(1, len(text)), True, key=lambda size: width_of(text[:size], font) > width)
    at = 1 + max(text.rfind(sign, 0, size) for sign in _PARTS)
    at = at if at > size / 2 else size  # half a line of paper is more than a word in one piece is worth
    lines = [text[:at].rstrip(), fitted(text[at:], font, width)]
    return lines if all(lines) else []


def _in_one_line(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _cut(text: str, size: int) -> str:
    """Its beginning and its end, of together this many signs."""
    end = size // 2
    return text[: size - end].rstrip() + "…" + text[len(text) - end :].lstrip()


def write(
    canvas: Image.Image,
    at: tuple[float, float],
    text: str,
    font: Font,
    *,
    color: tuple[int, int, int] = INK,
    anchor: str = "lm",
) -> None:
    """One line of text at a place; `anchor` is Pillow's (`lm`: left, middle of the line)."""
    x, y = at
    if anchor[1] == "m":
        # Pillow's middle is that of ascender and descender; capitals and digits then sit too low.
        anchor, y = f"{anchor[0]}s", y + 0.36 * font.em
    ImageDraw.Draw(canvas).text((round(x), round(y)), text, fill=color, font=font.face, anchor=anchor)


def number(value: float) -> str:
    """Three digits, with a true minus sign: 73.0, 6.21, 0.482, 1,240."""
    size = abs(value)
    if not math.isfinite(size):
        return "?"
    if 0.001 <= size < 1e6:
        text = f"{size:,.{max(0, 2 - math.floor(math.log10(size)))}f}"
    else:
        text = f"{size:.2g}"
    return f"\N{MINUS SIGN}{text}" if value < 0 else text


def signed_number(value: float) -> str:
    """As `number`, with a plus before what is positive."""
    return f"+{number(value)}" if value > 0 else number(value)


@cache
def _font_file() -> bytes:
    return (files("app.images") / "fonts" / _FILE).read_bytes()
