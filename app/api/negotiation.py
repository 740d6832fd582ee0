"""Which of the offered media types a client's Accept header prefers (RFC 9110, 12.5.1)."""

from collections.abc import Sequence

from app.errors import InvalidRequest


def preferred(accept: str, offered: Sequence[str]) -> str:
    """The offered type with the highest weight; among equals the one named most exactly, then the first offered.

    Args:
        accept: all lines of the header, with commas between; empty: anything will do.
        offered: where anything will do, the first is given.

    Raises:
        InvalidRequest: none is acceptable; the message lists what is offered.
    """
    if not accept.strip():
        return offered[0]
    ranges = [_media_range(part) for part in accept.split(",")]
    best, best_rank = "", (0.0, 0)
    for media_type in offered:
        # The most exact range that matches decides a type's weight.
        matches = [
            (exactness, weight) for pattern, weight in ranges if (exactness := _match(pattern, media_type))
        ]
        if matches:
            exactness, weight = max(matches)
            if weight > 0 and (weight, exactness) > best_rank:
                best, best_rank = media_type, (weight, exactness)
    if not best:
        raise InvalidRequest(f"none of the media types in Accept can be given; offered: {', '.join(offered)}")
    return best


def _media_range(text: str) -> tuple[str, float]:
    name, *parameters = (piece.strip() for piece in text.split(";"))
    weight = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "q":
            try:
                weight = min(1.0, max(0.0, float(value)))
            except ValueError:
                weight = 0.0
    return name.lower(), weight


def _match(pattern: str, media_type: str) -> int:
    """3: the type itself, 2: its family (image/*), 1: anything, 0: no match."""
    if pattern == media_type:
        return 3
    if pattern == "*/*":
        return 1
    family, _, rest = pattern.partition("/")
    return 2 if rest == "*" and media_type.startswith(f"{family}/") else 0
