"""Keys and values as TOML, each on one line; the files around them are written for people, with comments.

value -> text that tomllib reads as the same value
"""

import re


def toml_key(name: str) -> str:
    """Bare where TOML allows it."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml_value(name)


def toml_value(value: object) -> str:
    """A string, boolean, finite number, list, tuple or dictionary of such."""
    match value:
        case str():
            return '"' + re.sub(r'["\\\x00-\x1f\x7f]', _escaped, value) + '"'
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case tuple() | list():
            return "[" + ", ".join(toml_value(item) for item in value) + "]"
        case dict():
            return (
                "{ "
                + ", ".join(f"{toml_key(key)} = {toml_value(item)}" for key, item in value.items())
                + " }"
            )
        case _:  # pragma: no cover - manifests and configurations hold nothing else
            raise AssertionError(type(value))


def _escaped(letter: re.Match[str]) -> str:
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return short.get(letter[0], f"\\u{ord(letter[0]):04x}")
