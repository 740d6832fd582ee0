"""An ONNX graph as data: its tensors, and enough of its nodes to know which is which.

protobuf bytes -> nodes and initializers -> Raw. No graph is run. Of other files only the one beside it is opened in
which the exporter keeps the numbers (`model.onnx.data`): a plain name in the same folder, and no link.

An exporter folds batch normalisation into the convolutions and loses their names. Their order remains: it is
compared, shape by shape and stride by stride, with each ResNet's own, and each convolution gets an identity as
its batch normalisation.
"""

import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from app.checkpoints.found import Note
from app.checkpoints.unwrap import Raw
from app.errors import WeightsRefused
from app.nets.architectures import ARCHITECTURES
from app.nets.cifar_resnet import CifarResNetTrunk

DTYPES: Final = {1: torch.float32, 7: torch.int64, 10: torch.float16, 11: torch.float64, 16: torch.bfloat16}
SILENT: Final = frozenset({"Identity", "Constant", "Flatten", "Softmax"})
"""They hold no weights and change no ranking; Flatten and Softmax stand behind the pooling."""
POOL: Final = "GlobalAveragePool"
MAX_OUTSIDE_BYTES: Final = 4 * 2**30


@dataclass(slots=True)
class _Node:
    kind: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    numbers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Integer attributes."""


def is_onnx(start: bytes) -> bool:
    """A ModelProto begins with its version (field 1) and then its producer or graph."""
    return len(start) > 2 and start[0] == 0x08 and 0 < start[1] < 32 and start[2] in {0x12, 0x3A, 0x42}


def read_onnx(path: Path) -> Raw:
    """Raises WeightsRefused."""
    try:
        nodes, tensors, producer = _parsed(path)
    except (ValueError, IndexError, KeyError, struct.error, UnicodeDecodeError, RuntimeError) as error:
        raise WeightsRefused(f"{path.name}: truncated or damaged; no whole ONNX graph") from error
    origin = f"ONNX graph of {ascii(producer)[1:-1][:40] or 'an unnamed exporter'}"
    for node in nodes:
        if node.kind == "Identity" and node.inputs[0] in tensors:
            tensors[node.outputs[0]] = tensors[node.inputs[0]]  # equal tensors are kept once
    if any(name.endswith("bn1.running_mean") for name in tensors):
        return Raw(
            origin, {name: tensor for name, tensor in tensors.items() if not name.startswith("onnx::")}
        )
    return Raw(
        origin,
        _by_order(path, nodes, tensors),
        notes=(Note("renamed", "tensors by their order in the graph"),),
    )


def _by_order(path: Path, nodes: list[_Node], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    convolutions = [node for node in nodes if node.kind == "Conv"]
    linears = [node for node in nodes if node.kind == "Gemm"]
    kinds = Counter(kind for kind in _kinds(nodes, tensors) if kind not in SILENT)
    for name, architecture in ARCHITECTURES.items():
        with torch.device("meta"):
            trunk = architecture.build_trunk()
        own = [(n, module) for n, module in trunk.named_modules() if isinstance(module, nn.Conv2d)]
        shapes = [tuple(module.weight.shape) for _, module in own]
        if isinstance(trunk, CifarResNetTrunk) or shapes != [_shape(tensors, node) for node in convolutions]:
            continue
        blocks = sum(n.endswith(".conv1") for n, _ in own)
        per_block = 2 if architecture.feature_channels == 512 else 3
        expected = Counter(
            Conv=len(own), Relu=1 + per_block * blocks, Add=blocks, MaxPool=1, Gemm=1, **{POOL: 1}
        )
        if kinds != expected:
            raise WeightsRefused(
                f"{path.name}: its convolutions are those of {name}, its other nodes are not: {dict(kinds - expected)} "
                f"beyond, {dict(expected - kinds)} missing; import the .pth that it was exported from"
            )
        found: dict[str, Tensor] = {}
        for (layer, module), node in zip(own, convolutions, strict=True):
            found |= _unfolded(path, layer, module, node, tensors)
        gemm = linears[0]
        if gemm.numbers.get("transB") != (1,):
            raise WeightsRefused(f"{path.name}: its last layer is not written as PyTorch writes it")
        return found | {"fc.weight": tensors[gemm.inputs[1]], "fc.bias": tensors[gemm.inputs[2]]}
    raise WeightsRefused(
        f"{path.name}: an ONNX graph of {len(convolutions)} convolutions that are no known ResNet's; "
        "import the .pth that it was exported from"
    )


def _kinds(nodes: list[_Node], tensors: Mapping[str, Tensor]) -> Iterator[str]:
    """What each node does; the newer exporter pools by a mean over rows and columns, and reshapes that."""
    pooled = {node.outputs[0] for node in nodes if node.kind == POOL}
    for node in nodes:
        axes = tensors.get(node.inputs[1]) if node.kind == "ReduceMean" and len(node.inputs) > 1 else None
        if axes is not None and sorted(int(axis) % 4 for axis in axes.flatten()) == [2, 3]:
            pooled.add(node.outputs[0])
            yield POOL
        elif node.kind == "Reshape" and node.inputs[0] in pooled:
            yield "Flatten"
        else:
            yield node.kind


def _shape(tensors: Mapping[str, Tensor], node: _Node) -> tuple[int, ...]:
    weight = tensors.get(node.inputs[1]) if len(node.inputs) > 1 else None
    return () if weight is None else tuple(weight.shape)


def _unfolded(
    path: Path, layer: str, module: nn.Conv2d, node: _Node, tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The convolution, and a batch normalisation that adds its bias and does nothing else."""
    wanted = {
        "strides": tuple(module.stride),
        "pads": tuple(int(side) for side in module.padding) * 2,
        "dilations": tuple(module.dilation),
        "group": (module.groups,),
    }
    for attribute, value in wanted.items():
        if node.numbers.get(attribute, value) != value:
            raise WeightsRefused(
                f"{path.name}: its {layer} has {attribute} = {node.numbers[attribute]}, not {value}: the tensors fit, the "
                "answers would be wrong"
            )
    norm = layer.replace("downsample.0", "downsample.1").replace("conv", "bn")
    channels = module.out_channels
    bias = tensors[node.inputs[2]] if len(node.inputs) > 2 else torch.zeros(channels)
    return {
        f"{layer}.weight": tensors[node.inputs[1]],
        f"{norm}.weight": torch.ones(channels),
        f"{norm}.bias": bias,
        f"{norm}.running_mean": torch.zeros(channels),
        f"{norm}.running_var": torch.ones(channels) - 1e-5,
    }


# --- protobuf ----------------------------------------------------------------------------------


def _parsed(path: Path) -> tuple[list[_Node], dict[str, Tensor], str]:
    model = memoryview(path.read_bytes())
    nodes: list[_Node] = []
    tensors: dict[str, Tensor] = {}
    producer = ""
    for number, value in _fields(model):
        if number == 2 and isinstance(value, memoryview):
            producer = bytes(value).decode()
        elif number == 7 and isinstance(value, memoryview):
            for inner, part in _fields(value):
                if inner == 1 and isinstance(part, memoryview):
                    nodes.append(_node(part))
                elif inner == 5 and isinstance(part, memoryview):
                    name, tensor = _tensor(path, part)
                    tensors[name] = tensor
    if not nodes:
        raise ValueError("no graph")
    return nodes, tensors, producer


def _node(data: memoryview) -> _Node:
    node = _Node()
    for number, value in _fields(data):
        if not isinstance(value, memoryview):
            continue
        if number == 1:
            node.inputs.append(bytes(value).decode())
        elif number == 2:
            node.outputs.append(bytes(value).decode())
        elif number == 4:
            node.kind = bytes(value).decode()
        elif number == 5:
            name, numbers = "", list[int]()
            for inner, part in _fields(value):
                if inner == 1 and isinstance(part, memoryview):
                    name = bytes(part).decode()
                elif inner in {3, 8}:
                    numbers += _integers(part)
            node.numbers[name] = tuple(numbers)
    return node


def _tensor(path: Path, data: memoryview) -> tuple[str, Tensor]:
    shape, kind, name, raw, outside = list[int](), 0, "", memoryview(b""), dict[str, str]()
    for number, value in _fields(data):
        if number == 1:
            shape += _integers(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number in {4, 9} and isinstance(value, memoryview):
            raw = value  # packed floats and raw data are both little-endian numbers
        elif number == 8 and isinstance(value, memoryview):
            name = bytes(value).decode()
        elif number == 13 and isinstance(value, memoryview):
            key, text = (bytes(part).decode() for _, part in _fields(value) if isinstance(part, memoryview))
            outside[key] = text
    if outside:
        raw = _from_beside(path, outside)
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
    """One number, or several packed."""
    if isinstance(value, int):
        return [value]
    numbers, place = [], 0
    while place < len(value):
        number, place = _varint(value, place)
        numbers.append(number)
    return numbers


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
