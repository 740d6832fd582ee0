"""What pydantic found wrong, in words for the person who edits the file.

ValidationError -> one line per problem: the place as people write it, what is wrong, the nearest right word

A place in pydantic's terms is a path such as ("preprocess", "steps", 0, "step:resize", "interpolaton").
Parts with a colon are tags of a union (family:member) and stand for no key of the file.
"""

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

MAX_PROBLEMS = 20
"""More than this is not read; the file is then of another kind altogether."""

Keys = Mapping[str, frozenset[str]]
"""Table -> the keys it knows. Tables are named by the last word of their place: "" is the file itself,
"preprocess" a table, "step:resize" a member of a union."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant; case never matters."""
    by_lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower()[:100], by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint to append to a sentence, or nothing where no known word is near."""
    guess = nearest(word, known)
    return f"; did you mean `{guess}`?" if guess else ""


def listed(words: Iterable[str]) -> str:
    """`a`, `b` and `c`, cut where nobody reads on."""
    names = [f"`{shortened(word)}`" for word in words]
    if len(names) > 12:
        return f"{', '.join(names[:12])} and {len(names) - 12} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def shortened(text: str) -> str:
    """One printable line of at most 60 characters, whatever stood in the file."""
    line = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return line if len(line) <= 60 else f"{line[:57]}..."


def readable_problems(error: ValidationError, keys: Keys) -> list[str]:
    """One line per problem, in the order of the file's tables; what merely follows from another is left out."""
    found = error.errors(include_url=False)
    meant = {
        (path[:-1], nearest(str(path[-1]), keys.get(_table(path[:-1]), ())))
        for entry in found
        if entry["type"] == "extra_forbidden" and (path := entry["loc"])
    }
    # A misspelt key is also missing under its right name, and a list with a wrong item is also too
    # short without it; saying so would hide the other problems.
    return [
        _sentence(entry, keys)
        for entry in found
        if not (entry["type"] == "missing" and (entry["loc"][:-1], entry["loc"][-1]) in meant)
        and not (entry["type"] == "too_short" and len(entry["input"]) >= entry["ctx"]["min_length"])
    ]


def in_one_message(file: str, problems: list[str]) -> str:
    """The message of the exception: one line for one problem, a list for more."""
    if len(problems) == 1:
        return f"{file}: {problems[0]}"
    shown = [f"- {problem}" for problem in problems[:MAX_PROBLEMS]]
    if len(problems) > MAX_PROBLEMS:
        shown.append(f"- and {len(problems) - MAX_PROBLEMS} more")
    return "\n".join([f"{file} has {len(problems)} problems:", *shown])


def _sentence(entry: Any, keys: Keys) -> str:
    path: tuple[int | str, ...] = entry["loc"]
    context: dict[str, Any] = entry.get("ctx", {})
    value = entry["input"]
    is_value = f"{_place(path) or 'the file'} is {_shown(value)}"
    match entry["type"]:
        case "extra_forbidden":
            sentence = _unknown_key(str(path[-1]), path[:-1], keys)
        case "missing":
            sentence = f"{_place(path[:-1]) or 'the file'} needs `{path[-1]}`"
        case "literal_error":
            sentence = is_value + _instead_of(value, re.findall(r"'([^']*)'", context["expected"]))
        case "unknown_kind":
            kind = value.get("kind") if isinstance(value, Mapping) else value
            kinds = [name.partition(":")[2] for name in keys if name.startswith(f"{path[-1]}:")]
            sentence = f"{_place(path)}.kind is {_shown(kind)}" + _instead_of(kind, kinds)
        case "too_short" | "too_long":
            limit, bound = next((word, context[key]) for key, word in _LIMITS.items() if key in context)
            sentence = f"{_place(path)} has {len(value)} of the {limit} {bound} values needed"
        case "value_error" if isinstance(value, Mapping | Sequence) and not isinstance(value, str):
            sentence = f"{_place(path)}: {context['error']}"
        case "value_error":
            sentence = f"{is_value}: {context['error']}"
        case "string_pattern_mismatch":
            sentence = f"{is_value}: letters, digits, dots, dashes and underscores only"
        case "model_type" | "model_attributes_type" | "dict_type":
            sentence = f"{is_value}, needed: a table"
        case "json_invalid":
            sentence = f"not valid JSON: {context['error']}"
        case "tuple_type":
            sentence = f"{is_value}, needed: a list"
        case _:
            message = entry["msg"].removeprefix("Input should be ")
            sentence = f"{is_value}, needed: {message[:1].lower()}{message[1:]}"
    return sentence


_LIMITS = {"min_length": "at least", "max_length": "at most"}


def _instead_of(value: object, words: list[str]) -> str:
    hint = did_you_mean(value, words) if isinstance(value, str) else ""
    return f", known: {listed(words)}{hint}"


def _unknown_key(key: str, inside: tuple[int | str, ...], keys: Keys) -> str:
    table = _table(inside)
    where = f" in {_place(inside)}" if _place(inside) else ""
    family, _, member = table.partition(":")
    others = [name.partition(":")[2] for name in keys if name.startswith(f"{family}:") and key in keys[name]]
    if member and others:
        if key in others and family == "step":
            return f"`{key}` and `{member}` both stand{where}: one step does one thing, write two"
        return f"`{key}`{where} belongs to {' or '.join(others)}, here it is {member}"
    hint = did_you_mean(key, keys.get(table, ()))
    if not hint:
        homes = [name for name in keys if ":" not in name and key in keys[name] and name != table]
        if homes:
            hint = f"; it belongs in [{homes[0]}]" if homes[0] else "; it belongs above the first [table]"
        else:
            hint = f"; known: {listed(sorted(keys.get(table, ())))}"
    return f"unknown key `{shortened(key)}`{where}{hint}"


def _table(path: tuple[int | str, ...]) -> str:
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def _place(path: tuple[int | str, ...]) -> str:
    """("preprocess", "steps", 0, "step:crop", "crop", 1) -> preprocess.steps[0].crop[1]."""
    place = ""
    for part in path:
        if isinstance(part, int):
            place += f"[{part}]"
        elif not re.fullmatch(r"(head|step):[a-z_]*", part):
            place += ("." if place else "") + shortened(part)
    return place


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f'"{shortened(value)}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return "a very large number" if 1e15 <= abs(value) < math.inf else repr(value)
    if isinstance(value, Mapping):
        return "a table"
    return "a list" if isinstance(value, Sequence) else f"a {type(value).__name__}"
