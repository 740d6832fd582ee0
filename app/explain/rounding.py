"""Rounding that never claims certainty: 0.9996 to three digits is over 0.999 and not 1, 0.0004 under 0.001 and not 0.

value of 0..1 + digits -> number + on which side of it the truth lies
"""

from typing import Final, Literal

Side = Literal["over", "under", ""]

SIGNS: Final[dict[Side, str]] = {"over": "> ", "under": "< ", "": ""}


def bounded(value: float, digits: int) -> tuple[str, Side]:
    """To so many digits, and on which side of it the truth lies where rounding reaches 0 or 1."""
    smallest: float = 10.0**-digits
    rounded = round(value, digits)
    if rounded >= 1.0 > value:
        return f"{1.0 - smallest:.{digits}f}", "over"
    if rounded <= 0.0 < value:
        return f"{smallest:.{digits}f}", "under"
    return f"{rounded:.{digits}f}", ""


def figure(value: float, digits: int = 3) -> str:
    """With a sign before it: "> 0.999"."""
    number, side = bounded(value, digits)
    return SIGNS[side] + number
