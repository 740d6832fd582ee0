"""What flows through an ONNX file: its nodes without those that do nothing, its tensors with those that are constant.

nodes and tensors -> Graph. No graph is run: of what can be computed beforehand only shapes and copies are, which
exporters leave in it.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from app.checkpoints.onnx_bytes import Node, parsed
from app.errors import WeightsRefused

FLOATS: Final = frozenset({1, 10, 11, 16})
AFTER_VERSION: Final = frozenset({0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42})
"""Fields 2 to 8 of a ModelProto; empty ones are left out, and the first of the rest follows its version."""
MAX_COMPUTED_NUMBERS: Final = 2**20
"""What exporters leave to compute are shapes and biases; a forged graph could ask for terabytes."""


@dataclass(slots=True)
class Graph:
    """Without what only hands its input on: `Identity`, dropout, casts between floats."""

    producer: str
    inputs: list[str]
    """Without those that have a tensor, which old exporters list too."""
    outputs: list[str]
    nodes: list[Node]
    tensors: dict[str, Tensor]
    _readers: dict[str, list[Node]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                self._readers.setdefault(name, []).append(node)

    def readers(self, name: str) -> Sequence[Node]:
        """The nodes that a value goes into."""
        return self._readers.get(name, ())


def kinds_of(nodes: Sequence[Node]) -> str:
    """What they are, in words; a file may name them as it likes."""
    kinds = sorted({ascii(node.kind)[1:-1][:40] for node in nodes})
    return " and ".join(kinds[:4]) or "nothing"


def refuse_training(node: Node) -> None:
    """Raises WeightsRefused for a batch normalisation that looks at its batch instead of what it learned."""
    if node.numbers.get("training_mode", (0,)) != (0,):
        raise WeightsRefused(
            "its batch normalisation is in training mode and would answer by the neighbours in a batch; export it in eval "
            "mode: model.eval(), and training=torch.onnx.TrainingMode.EVAL"
        )


def is_onnx(start: bytes) -> bool:
    """A ModelProto begins with its version (field 1)."""
    return len(start) > 2 and start[0] == 0x08 and 0 < start[1] < 32 and start[2] in AFTER_VERSION


def read_graph(path: Path) -> Graph:
    """Raises WeightsRefused."""
    try:
        return _settled(*parsed(path))
    except (ValueError, IndexError, KeyError, struct.error, UnicodeDecodeError, RuntimeError) as error:
        raise WeightsRefused(f"{path.name}: truncated or damaged; no whole ONNX graph") from error


def _settled(
    nodes: list[Node], tensors: dict[str, Tensor], inputs: list[str], outputs: list[str], producer: str
) -> Graph:
    """What hands on is taken out, what is constant is computed; nodes come in an order in which they can run."""
    same: dict[str, str] = {}
    left = []
    for node in nodes:
        node.inputs = [same.get(name, name) for name in node.inputs]
        if _hands_on(node):
            same[node.outputs[0]] = node.inputs[0]
            continue
        computed = _computed(node, tensors)
        if computed is None:
            left.append(node)
        else:
            tensors[node.outputs[0]] = computed
    inputs = [name for name in inputs if name not in tensors]
    return Graph(producer, inputs, [same.get(name, name) for name in outputs], left, tensors)


def _hands_on(node: Node) -> bool:
    if node.kind == "Cast":
        return set(node.numbers["to"]) <= FLOATS
    return node.kind in {"Identity", "Dropout"}


def _computed(node: Node, tensors: Mapping[str, Tensor]) -> Tensor | None:
    """The value of a constant; None where it depends on the picture."""
    known = [tensors[name] for name in node.inputs if name in tensors]
    if node.kind == "CastLike" and node.inputs[0] in tensors:
        return known[0]  # as the picture is, whose numbers are floats
    if len(known) < len(node.inputs):
        return None
    computed: Tensor | None = None
    match node.kind:
        case "Constant":
            computed = node.value
        case "Shape":
            (start,), (end,) = node.numbers.get("start", (0,)), node.numbers.get("end", (known[0].ndim,))
            computed = torch.tensor(known[0].shape[start:end])
        case "Expand" if known[0].numel() == 1 and math.prod(known[1].tolist()) <= MAX_COMPUTED_NUMBERS:
            computed = known[0].expand(tuple(known[1].tolist()))
        case "Concat" if sum(tensor.numel() for tensor in known) <= MAX_COMPUTED_NUMBERS:
            computed = torch.cat(known, node.numbers["axis"][0])
        case "Reshape" if 0 not in known[1]:  # a 0 there means: as it was
            computed = known[0].reshape(tuple(known[1].tolist()))
        case "Transpose":
            computed = known[0].permute(node.numbers.get("perm", tuple(reversed(range(known[0].ndim)))))
        case _:
            pass
    return computed
