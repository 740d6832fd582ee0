"""A TorchScript program's modules as those of a whole module, told from its text.

modules as the archive names them, sources by class -> modules with their kinds and attributes

The text is read and never run. A scripted module lists its attributes; a traced one calls one operation with them
as literals. Of a class that is not torch's or torchvision's nothing is known.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from app.checkpoints.pickled import Name, Thing
from app.checkpoints.renaming import Named

_MANGLED: Final = re.compile(r"^__torch__\.|___torch_mangle_\d+\.")
_CLASS: Final = re.compile(r"^class (\w+)\(Module\):\n(.*?)(?=^class |\Z)", re.MULTILINE | re.DOTALL)
_FINAL: Final = re.compile(r"^  (\w+) : Final\[.*?\] = (.+)$", re.MULTILINE)
_LIST: Final = r"(\[[\d, ]*\])"
_CALLS: Final = (
    (
        re.compile(
            rf"torch\.(?:conv2d|_convolution)\(\w+, \w+, \w+, {_LIST}, {_LIST}, {_LIST}"
            r"(?:, (?:True|False), \[[\d, ]*\])?(?:, (\d+))?"
        ),
        ("stride", "padding", "dilation", "groups"),
    ),
    (
        re.compile(rf"torch\.max_pool2d\(\w+, {_LIST}, {_LIST}, {_LIST}, {_LIST}(?:, (True|False))?\)"),
        ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    ),
    (
        re.compile(r"torch\.batch_norm\((?:\w+, ){6}[\d.e-]+, ([\d.e-]+), (?:True|False)\)"),
        ("eps",),
    ),
    (re.compile(rf"torch\.adaptive_avg_pool2d\(\w+, {_LIST}\)"), ("output_size",)),
)
"""Operations that layers are traced to, and what their literals are."""
_OMITTED: Final[Mapping[str, object]] = {"groups": 1, "ceil_mode": False}


def program_modules(modules: Mapping[str, Thing], sources: Mapping[str, str]) -> dict[str, Thing]:
    """The same paths, with names, attributes and children as a whole module has them.

    Args:
        modules: path -> what the archive has.
        sources: `__torch__.torch.nn.modules.conv` -> the text of its classes.
    """
    found: dict[str, Thing] = {}
    for path, module in modules.items():
        plain = _MANGLED.sub("", str(module.made_by))
        room, _, name = plain.rpartition(".")
        text = dict(_CLASS.findall(sources.get(module.made_by.module, ""))).get(name, "")
        own = module.state if isinstance(module.state, dict) else {}
        children: dict[str, Thing] = {}
        state = {**own, **_attributes(text), "_modules": children}
        found[path] = Thing(Name(room, name), state=state)
        if path:
            above, _, last = path.rpartition(".")
            found[above].state["_modules"][last] = found[path]
    return found


def _attributes(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in _FINAL.findall(text):
        found[name] = _literal(value)
    for call, names in _CALLS:
        if match := call.search(text):
            for name, value in zip(names, match.groups(), strict=True):
                found[name] = _OMITTED[name] if value is None else _literal(value)
    return found


def _literal(text: str) -> object:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return tuple(value) if isinstance(value, list) else value


def unseen(modules: Mapping[str, Thing], parts: Named) -> str | None:
    """The class around trunk or head whose forward pass is its own, where there is one."""
    for path in (parts.trunk_path.removesuffix("."), parts.head_path or ""):
        for each in _upwards(path):
            module = modules.get(each)
            if module is not None and not str(module.made_by).startswith(("torch.", "torchvision.")):
                return str(module.made_by)
    return None


def _upwards(path: str) -> Iterator[str]:
    yield path
    while path:
        path = path.rpartition(".")[0]
        yield path
