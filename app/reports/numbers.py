"""Numbers as a report and a terminal write them, in English and Korean.

value + language -> text; a share or a probability is never 0 or 100 % where it is not (app/api/static/format.js: the
page's rule)
"""

import math
from typing import Final

import numpy as np

from app.explain.rounding import SIGNS, bounded
from app.explain.sentence import Language

_LEAST: Final = math.nextafter(0.0, 1.0)
_MOST: Final = math.nextafter(1.0, 0.0)


def percent(fraction: float, language: Language, *, digits: int = 1) -> str:
    """What was counted, 0..1: "93.1 %", "> 99.9 %"."""
    number, side = bounded(fraction, digits + 2)
    return f"{SIGNS[side]}{float(number) * 100:.{digits}f}{' ' if language == 'en' else ''}%"


def share(fraction: float, language: Language) -> str:
    """A part of a map or of its evidence, without decimals: a cell is larger than those."""
    return percent(fraction, language, digits=0)


def probability(value: float, language: Language) -> str:
    """As `percent`; but a softmax that is 1 was rounded, for no network is certain."""
    return percent(min(max(value, _LEAST), _MOST), language)


def between(low: str, high: str, language: Language) -> str:
    """An interval, its ends written as the value itself is."""
    return f"{low} to {high}" if language == "en" else f"{low}~{high}"


def significant(value: float, digits: int = 3) -> str:
    """To so many digits, never as a power of ten."""
    text: str = np.format_float_positional(value, precision=digits, unique=False, fractional=False, trim="-")
    return text


def pictures(count: int, language: Language) -> str:
    """So many of them."""
    if language == "ko":
        return f"사진 {count:,}장"
    return f"{count:,} picture" if count == 1 else f"{count:,} pictures"
