"""The bytes of an ONNX file, as data.

protobuf -> nodes, tensors, names of the inputs and outputs. Of other files only the one beside it is opened in which
the exporter keeps the numbers (`model.onnx.data`): a plain name in the same folder, and no link.
"""

import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from app.errors import WeightsRefused

DTYPES: Final = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 6: torch.int32, 7: torch.int64, 9: torch.bool,
    10: torch.float16, 11: torch.float64, 16: torch.bfloat16,
}  # fmt: skip
LETTERS: Final = {2: "B", 3: "b", 6: "i", 7: "q", 9: "?", 10: "H", 16: "H"}
"""Of those that may be written as whole numbers, and how they are packed."""
MAX_OUTSIDE_BYTES: Final = 4 * 2**30


@dataclass(slots=True)
class Node:
    """One operation."""

    kind: str = ""
    """Its operator, with the domain before it where that is not ONNX's own."""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    numbers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Integer attributes."""
    floats: dict[str, float] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    value: Tensor | None = None
    """Of a Constant."""


def parsed(path: Path) -> tuple[list[Node], dict[str, Tensor], list[str], list[str], str]:
    """Nodes, tensors by name, names of inputs and of outputs, and who wrote it.

    Raises:
        WeightsRefused: a tensor that the file does not hold.
        ValueError: and other errors of reading bytes, where these are no ONNX graph.
    """
    model = memoryview(path.read_bytes())
    nodes: list[Node] = []
    tensors: dict[str, Tensor] = {}
    inputs, outputs, producer = list[str](), list[str](), ""
    for number, value in _fields(model):
        if number == 2 and isinstance(value, memoryview):
            producer = bytes(value).decode()
        elif number == 7 and isinstance(value, memoryview):
            for inner, part in _fields(value):
                if not isinstance(part, memoryview):
                    continue
                if inner == 1:
                    nodes.append(_node(path, part))
                elif inner == 5:
                    name, tensor = _tensor(path, part)
                    tensors[name] = tensor
                elif inner in {11, 12}:
                    (inputs if inner == 11 else outputs).append(_name(part))
    if not nodes:
        raise ValueError("no graph")
    return nodes, tensors, inputs, outputs, producer


def _name(data: memoryview) -> str:
    """Of an input or output; its type and shape are not looked at."""
    named = (part for number, part in _fields(data) if number == 1 and isinstance(part, memoryview))
    return bytes(next(named)).decode()


def _node(path: Path, data: memoryview) -> Node:
    node, domain = Node(), ""
    for number, value in _fields(data):
        if not isinstance(value, memoryview):
            continue
        if number == 1:
            node.inputs.append(bytes(value).decode())
        elif number == 2:
            node.outputs.append(bytes(value).decode())
        elif number == 4:
            node.kind = bytes(value).decode()
        elif number == 7:
            domain = bytes(value).decode()
        elif number == 5:
            _attribute(path, node, value)
    if domain not in {"", "ai.onnx"}:
        node.kind = f"{domain}.{node.kind}"
    return node


def _attribute(path: Path, node: Node, data: memoryview) -> None:
    name, numbers = "", list[int]()
    for number, value in _fields(data):
        if number in {3, 8}:
            numbers += _integers(value)
        elif not isinstance(value, memoryview):
            continue
        elif number == 1:
            name = bytes(value).decode()
        elif number == 2:
            (node.floats[name],) = struct.unpack("<f", value)
        elif number == 4:
            node.words[name] = bytes(value).decode(errors="replace")
        elif number == 5:
            with suppress(WeightsRefused, KeyError):  # of a kind that no weight has
                _, node.value = _tensor(path, value)
    if numbers:
        node.numbers[name] = tuple(numbers)
        node.value = torch.tensor(numbers) if node.kind == "Constant" else None


def _tensor(path: Path, data: memoryview) -> tuple[str, Tensor]:
    shape, kind, name, raw, outside = list[int](), 0, "", memoryview(b""), dict[str, str]()
    whole = list[int]()
    for number, value in _fields(data):
        if number == 1:
            shape += _integers(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number in {4, 9, 10} and isinstance(value, memoryview):
            raw = value  # packed floats, doubles and raw data are all little-endian numbers
        elif number in {5, 7}:
            whole += _integers(value)
        elif number == 8 and isinstance(value, memoryview):
            name = bytes(value).decode()
        elif number == 13 and isinstance(value, memoryview):
            key, text = (bytes(part).decode() for _, part in _fields(value) if isinstance(part, memoryview))
            outside[key] = text
    if outside:
        raw = _from_beside(path, outside)
    elif whole:
        raw = memoryview(struct.pack(f"<{len(whole)}{LETTERS[kind]}", *whole))
    dtype = DTYPES[kind]
    count = 1
    for size in shape:
        count *= size
    if count < 0 or count * dtype.itemsize != len(raw):
        raise WeightsRefused(f"{path.name}: a tensor of {count:,} numbers in {len(raw):,} bytes")
    if not count:
        return name, torch.empty(shape, dtype=dtype)
    return name, torch.frombuffer(bytearray(raw), dtype=dtype).reshape(shape)


def _from_beside(path: Path, entry: Mapping[str, str]) -> memoryview:
    """The bytes of one tensor in the file that the exporter wrote beside the graph."""
    name, offset, length = entry["location"], int(entry.get("offset", "0")), int(entry["length"])
    beside = path.parent / name
    if Path(name).name != name or beside.is_symlink() or not beside.is_file():
        raise WeightsRefused(
            f"{path.name}: its numbers lie in {ascii(name)[:80]}, which is not beside it; put it there, or export "
            "again with external_data=False"
        )
    size = beside.stat().st_size
    if size > MAX_OUTSIDE_BYTES or offset < 0 or not 0 <= length <= size - offset:
        raise WeightsRefused(f"{path.name}: it asks for {length:,} bytes, {ascii(name)[:80]} holds {size:,}")
    with beside.open("rb") as file:
        file.seek(offset)
        return memoryview(file.read(length))


def _integers(value: int | memoryview) -> list[int]:
    """One number, or several packed; negative ones are written as 2^64 less."""
    numbers, place = list[int](), 0
    if isinstance(value, int):
        numbers.append(value)
    else:
        while place < len(value):
            number, place = _varint(value, place)
            numbers.append(number)
    return [number - 2**64 if number >= 2**63 else number for number in numbers]


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of one message."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        match key & 7:
            case 0:
                number, place = _varint(data, place)
                yield key >> 3, number
                continue
            case 1:
                size = 8
            case 2:
                size, place = _varint(data, place)
            case 5:
                size = 4
            case _:
                raise ValueError("no protobuf")
        if place + size > len(data):
            raise ValueError("truncated")
        yield key >> 3, data[place : place + size]
        place += size


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value, shift = 0, 0
    while shift < 64:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
    raise ValueError("a number without end")
