"""What follows the features in an ONNX graph: pooling, layers, the answer.

Graph, name of the features -> tensors as of a `Sequential` called fc -> OnnxHead

The layers get positions as a script would give them, so that head_layers.py reads them as any other head; what
stands between them, which a file of weights does not say, the graph does.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from torch import Tensor

from app.checkpoints.head_layers import NORM_EPSILON
from app.checkpoints.onnx_bytes import Node
from app.checkpoints.onnx_graph import Graph, kinds_of, refuse_training
from app.errors import WeightsRefused

FLATTENING: Final = frozenset({"Flatten", "Reshape", "Squeeze"})
"""Behind the pooling all three are the same: the layer after it takes as many numbers as there are channels."""
LINEAR: Final = frozenset({"Gemm", "MatMul"})
AFFINE: Final = LINEAR | {"BatchNormalization"}
AT_END: Final = frozenset({"Softmax", "LogSoftmax", "ArgMax"})
"""They change no ranking, and stand behind our own logits too."""
ROOT: Final = "fc"


@dataclass(frozen=True, slots=True)
class OnnxHead:
    """A head as a file of weights would hold it."""

    tensors: Mapping[str, Tensor]
    """`fc.weight` of one layer, `fc.0.weight`, `fc.2.weight`, ... of several."""
    activation: Literal["relu", "none"] | None
    """What stands between its linear layers; None where there is one layer."""


def read_head(graph: Graph, features: str, channels: int) -> OnnxHead:
    """The layers behind the pooling, up to the graph's answer.

    Raises:
        WeightsRefused: the features are not averaged, or something else stands between, behind or beside the layers.
    """
    layers: dict[int, dict[str, Tensor]] = {}
    gaps = set[Literal["relu", "none"]]()
    value, width, place, before = _pooled(graph, features), channels, 0, ""
    while (node := _next(graph, value)) is not None:
        if node.kind == "Relu":
            # Before the first layer it changes nothing: a ResNet's features are never negative.
            place += bool(layers)
        else:
            if before == "Relu" and layers:
                gaps.add("relu")
            elif {before, node.kind} <= LINEAR:
                gaps.add("none")
                place += 1
            layers[place], width = _affine(graph, node, width)
            place += 1
        value, before = node.outputs[0], node.kind
        if node.kind == "MatMul":
            value = _with_bias(graph, value, layers[place - 1])
    _check_end(graph, value, width, before)
    if len(gaps) > 1:
        raise WeightsRefused(
            "its head has ReLU between some of its linear layers and nothing between others; import the whole model, "
            "torch.save(model, ...)"
        )
    rooms = {f"{ROOT}.{place}" if len(layers) > 1 else ROOT: layer for place, layer in layers.items()}
    tensors = {f"{room}.{name}": tensor for room, layer in rooms.items() for name, tensor in layer.items()}
    return OnnxHead(tensors, next(iter(gaps), None))


def _pooled(graph: Graph, features: str) -> str:
    """The name of one number per channel."""
    readers = graph.readers(features)
    pools = [
        node
        for node in readers
        if node.kind == "GlobalAveragePool" or (node.kind == "ReduceMean" and _over_cells(graph, node))
    ]
    if len(pools) != 1:
        raise WeightsRefused(
            f"behind its features stands {kinds_of(readers)}; only one average over all cells gives this evidence"
        )
    return pools[0].outputs[0]


def _over_cells(graph: Graph, node: Node) -> bool:
    """The newer exporter pools by a mean over rows and columns."""
    given = graph.tensors.get(node.inputs[1]) if len(node.inputs) > 1 else None
    axes = node.numbers.get("axes", ()) if given is None else [int(axis) for axis in given.flatten()]
    return sorted(axis % 4 for axis in axes) == [2, 3]


def _next(graph: Graph, value: str) -> Node | None:
    """The layer or ReLU that reads a value, or reads it flattened; None where none does."""
    found, waiting = list[Node](), [value]
    while waiting:
        for node in graph.readers(waiting.pop()):
            if node.kind in FLATTENING:
                waiting.append(node.outputs[0])
            elif node.kind in AFFINE | {"Relu"}:
                found.append(node)
    if len(found) > 1:
        raise WeightsRefused(
            f"its head parts in {len(found)} ways ({kinds_of(found)}); export the network with the one head that is served"
        )
    return found[0] if found else None


def _affine(graph: Graph, node: Node, width: int) -> tuple[dict[str, Tensor], int]:
    """The tensors of a layer under torch's names, and how many numbers it gives."""
    given = [graph.tensors[name] for name in node.inputs[1:] if name in graph.tensors]
    if node.inputs[0] in graph.tensors or len(given) < len(node.inputs) - 1:
        raise WeightsRefused(f"a {node.kind} of its head takes two things that depend on the picture")
    if node.kind == "BatchNormalization":
        refuse_training(node)
        epsilon = node.floats.get("epsilon", NORM_EPSILON)
        if not math.isclose(epsilon, NORM_EPSILON, rel_tol=1e-6):  # ONNX keeps it in float32
            raise WeightsRefused(
                f"the batch normalisation of its head has epsilon = {epsilon:g}; only {NORM_EPSILON:g} is served"
            )
        names = ("weight", "bias", "running_mean", "running_var")
        return dict(zip(names, given, strict=True)), width
    if node.numbers.get("transA", (0,)) != (0,) or {*node.floats.values()} - {1.0}:
        raise WeightsRefused(
            "its last layer is not written as PyTorch writes it: alpha, beta or transA is set"
        )
    weight = given[0] if node.numbers.get("transB") == (1,) else given[0].T
    if weight.ndim != 2 or weight.shape[1] != width:
        raise WeightsRefused(
            f"a layer of its head has the shape {tuple(weight.shape)} where {width} numbers come"
        )
    return {"weight": weight, **({"bias": given[1]} if len(given) > 1 else {})}, len(weight)


def _with_bias(graph: Graph, product: str, layer: dict[str, Tensor]) -> str:
    """The value behind a matrix product and what is added to it, which other exporters than torch's keep apart."""
    readers = graph.readers(product)
    if len(readers) == 1 and readers[0].kind == "Add":
        (other,) = [name for name in readers[0].inputs if name != product] or [product]
        bias = graph.tensors.get(other)
        if bias is not None and bias.numel() == len(layer["weight"]):
            layer["bias"] = bias.flatten()
            return readers[0].outputs[0]
    return product


def _check_end(graph: Graph, logits: str, classes: int, last: str) -> None:
    """Nothing but Softmax stands behind the logits, and they are what the graph answers."""
    if last not in AFFINE:
        raise WeightsRefused(
            f"its head ends in {last or kinds_of(graph.readers(logits))}; a linear layer gives the logits that are served"
        )
    # One output is often handed on without its axis.
    harmless = AT_END | FLATTENING | {"Sigmoid"} if classes == 1 else AT_END
    waiting, reached = [logits], {logits}
    while waiting:
        for node in graph.readers(waiting.pop()):
            if node.kind not in harmless:
                raise WeightsRefused(
                    f"behind its last layer stands {kinds_of([node])}, which would be lost: what is served is one class of "
                    "several by Softmax; if that is what the network was trained for, export it without"
                )
            new = set(node.outputs) - reached
            waiting += new
            reached |= new
    if not reached & set(graph.outputs):
        raise WeightsRefused("what its last layer gives is not what the graph answers")
