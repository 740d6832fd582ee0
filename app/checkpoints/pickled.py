"""A pickle read as data: an interpreter that knows no Python objects.

pickle bytes -> plain values, where every import is only its name and every call only a record of itself

`pickle` resolves names and calls them, which is how a file runs code. Here nothing is resolved: `os.system`
in a file becomes the text "os.system". Time and memory are bounded by the opcodes, of which there may
only be so many. Knows nothing of tensors, beyond keeping the records that describe them.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

MAX_OPCODES: Final = 2_000_000
"""ResNet-152 with its optimiser has 60,000; two million take two seconds."""


class PickleDamaged(Exception):
    """Truncated, forged, or made of opcodes that no weight file has."""


@dataclass(frozen=True, slots=True)
class Name:
    """An import, as text only."""

    module: str
    name: str

    def __str__(self) -> str:
        """As Python writes it."""
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False)
class Thing:
    """What would have been an object: which name was called, with what, and what was put into it."""

    made_by: Name
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)
    """Set by key, as an OrderedDict's entries are."""
    members: list[Any] = field(default_factory=list)
    """Appended."""


@dataclass(frozen=True, slots=True, eq=False)
class Persistent:
    """What lies outside the pickle; for torch, a storage."""

    identity: Any


_MARK: Final = object()


class _Machine:
    """The pickle's stack and memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.names: set[Name] = set()

    def name(self, module: object, name: object) -> Name:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise PickleDamaged("an import without a name")
        found = Name(module, name)
        self.names.add(found)
        return found

    def to_mark(self) -> list[Any]:
        for position in range(len(self.stack) - 1, -1, -1):
            if self.stack[position] is _MARK:
                above = self.stack[position + 1 :]
                del self.stack[position:]
                return above
        raise PickleDamaged("an end without a beginning")

    def call(self, target: object, arguments: object) -> Any:
        if isinstance(target, Persistent) and isinstance(target.identity, tuple) and len(target.identity) > 1:
            target = target.identity[1]  # ("module", class, file, source), as torch.save wrote before 1.6
        if not isinstance(target, Name) or not isinstance(arguments, tuple):
            raise PickleDamaged("a call of something that has no name")
        if str(target) == "collections.OrderedDict" and not arguments:
            return {}
        return Thing(target, arguments)

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Thing):
            target.state = state
        elif not isinstance(target, dict):  # an OrderedDict with attributes, such as a state dict's _metadata
            raise PickleDamaged("a state for something that has none")

    def set_items(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        into = target.items if isinstance(target, Thing) else target
        if not isinstance(into, dict) or len(pairs) % 2:
            raise PickleDamaged("entries for something that is no dictionary")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            # Hashing a tuple nested a million deep would overflow the C stack; no weights lie under tuples.
            into[key if isinstance(key, str | int | float | None) else f"<{type(key).__name__}>"] = value

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        into = target.members if isinstance(target, Thing) else target
        if isinstance(into, set):
            into.update(value for value in values if isinstance(value, str | int | float))
        elif isinstance(into, list):
            into.extend(values)
        else:
            raise PickleDamaged("members for something that is no list")


def _new_object(m: _Machine, _: Any) -> None:
    arguments, target = m.stack.pop(), m.stack.pop()
    m.stack.append(m.call(target, arguments))


def _object_with_keywords(m: _Machine, _: Any) -> None:
    _keywords, arguments, target = m.stack.pop(), m.stack.pop(), m.stack.pop()
    m.stack.append(m.call(target, arguments))


def _stack_global(m: _Machine, _: Any) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    m.stack.append(m.name(module, name))


def _set_item(m: _Machine, _: Any) -> None:
    value, key = m.stack.pop(), m.stack.pop()
    m.set_items([key, value])


def _tuple_of(count: int) -> Callable[[_Machine, Any], None]:
    def make(m: _Machine, _: Any) -> None:
        values = tuple(m.stack[-count:])
        if len(values) != count or _MARK in values:
            raise PickleDamaged("a tuple without its members")
        del m.stack[-count:]
        m.stack.append(values)

    return make


def _pair_up(values: list[Any]) -> dict[Any, Any]:
    m = _Machine()
    m.stack.append({})
    m.set_items(values)
    made: dict[Any, Any] = m.stack[0]
    return made


def _push(make: Callable[[], Any]) -> Callable[[_Machine, Any], None]:
    return lambda m, _: m.stack.append(make())


def _literal(m: _Machine, value: Any) -> None:
    m.stack.append(value)


def _nothing(_m: _Machine, _: Any) -> None:
    pass


def _memoize(m: _Machine, _: Any) -> None:
    m.memo[len(m.memo)] = m.stack[-1]


def _put(m: _Machine, index: int) -> None:
    m.memo[index] = m.stack[-1]


def _get(m: _Machine, index: int) -> None:
    m.stack.append(m.memo[index])


_OPCODES: Final[dict[str, Callable[[_Machine, Any], Any]]] = {
    **dict.fromkeys(("PROTO", "FRAME"), _nothing),
    **dict.fromkeys(("INT", "LONG", "BININT", "BININT1", "BININT2", "LONG1", "LONG4"), _literal),
    **dict.fromkeys(("FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING"), _literal),
    **dict.fromkeys(("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), _literal),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), _literal),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _get),
    "MEMOIZE": _memoize,
    "NONE": _push(lambda: None),
    "NEWTRUE": _push(lambda: True),
    "NEWFALSE": _push(lambda: False),
    "MARK": _push(lambda: _MARK),
    "EMPTY_TUPLE": _push(tuple),
    "EMPTY_LIST": _push(list),
    "EMPTY_DICT": _push(dict),
    "EMPTY_SET": _push(set),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.to_mark())),
    "LIST": lambda m, _: m.stack.append(m.to_mark()),
    "DICT": lambda m, _: m.stack.append(_pair_up(m.to_mark())),
    "FROZENSET": lambda m, _: m.stack.append(tuple(m.to_mark())),
    "POP": lambda m, _: m.stack.pop(),
    "POP_MARK": lambda m, _: m.to_mark(),
    "DUP": lambda m, _: m.stack.append(m.stack[-1]),
    "GLOBAL": lambda m, text: m.stack.append(m.name(*str(text).split(" ", 1))),
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _new_object,
    "NEWOBJ": _new_object,
    "NEWOBJ_EX": _object_with_keywords,
    "BUILD": lambda m, _: m.build(),
    "SETITEM": _set_item,
    "SETITEMS": lambda m, _: m.set_items(m.to_mark()),
    "APPEND": lambda m, _: m.append([m.stack.pop()]),
    "APPENDS": lambda m, _: m.append(m.to_mark()),
    "ADDITEMS": lambda m, _: m.append(m.to_mark()),
    "BINPERSID": lambda m, _: m.stack.append(Persistent(m.stack.pop())),
}
"""Left out: EXT*, INST and OBJ, PERSID, BYTEARRAY8 and buffers; torch never writes them."""


def read_pickle(stream: BinaryIO, *, max_opcodes: int = MAX_OPCODES) -> tuple[Any, frozenset[Name]]:
    """One pickle's value and every name in it; the stream stands after it.

    Raises:
        PickleDamaged: it cannot be followed to its end.
    """
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count > max_opcodes:
                raise PickleDamaged(f"more than {max_opcodes:,} steps; forged")
            if opcode.name == "STOP":
                return machine.stack.pop(), frozenset(machine.names)
            act = _OPCODES.get(opcode.name)
            if act is None:
                raise PickleDamaged(f"it uses {opcode.name}, which torch never writes")
            act(machine, argument)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError, RecursionError) as error:
        raise PickleDamaged("it ends or breaks inside its index") from error
    raise PickleDamaged("it has no end")
