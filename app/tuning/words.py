"""Numbers with their nouns; pure."""


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """`1 core`, `2 cores`; `nouns` where it is not the noun with an s."""
    return f"{number} {noun if number == 1 else nouns or f'{noun}s'}"
