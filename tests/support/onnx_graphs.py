"""ONNX graphs as torch exports them, and as onnx's own helpers change them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

Change = Callable[[Any], None]
"""Of a ModelProto, in place."""


def export(model: nn.Module, path: Path, *, does_fold: bool = True) -> Path:
    """As torch's older exporter writes it; 64 x 64 pixels are enough for a graph."""
    pytest.importorskip("onnx")
    mode = torch.onnx.TrainingMode.EVAL if does_fold else torch.onnx.TrainingMode.PRESERVE
    example = (torch.zeros(1, 3, 64, 64),)
    torch.onnx.export(model, example, str(path), dynamo=False, training=mode, do_constant_folding=does_fold)
    return path


def changed(path: Path, change: Change, folder: Path) -> Path:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(path))
    change(model)
    onnx.save(model, str(folder / "changed.onnx"))
    return folder / "changed.onnx"


def node_of(model: Any, ending: str) -> Any:
    """The one whose output's name has this in it: torch names them by module."""
    return next(node for node in model.graph.node if ending in node.output[0])


def setting(ending: str, **attributes: Any) -> Change:
    """Attributes of a node; None takes one away."""

    def change(model: Any) -> None:
        onnx = pytest.importorskip("onnx")
        node = node_of(model, ending)
        kept = [attribute for attribute in node.attribute if attribute.name not in attributes]
        del node.attribute[:]
        made = (onnx.helper.make_attribute(k, v) for k, v in attributes.items() if v is not None)
        node.attribute.extend([*kept, *made])

    return change


def inserted(kind: str, before: str, **attributes: Any) -> Change:
    """A node of one input in front of another."""

    def change(model: Any) -> None:
        onnx = pytest.importorskip("onnx")
        node = node_of(model, before)
        place = next(i for i, each in enumerate(model.graph.node) if each.output[0] == node.output[0])
        new = onnx.helper.make_node(kind, [node.input[0]], ["inserted"], **attributes)
        node.input[0] = "inserted"
        model.graph.node.insert(place, new)

    return change


def appended(kind: str, **attributes: Any) -> Change:
    """A node behind the answer."""

    def change(model: Any) -> None:
        onnx = pytest.importorskip("onnx")
        output = model.graph.output[0]
        model.graph.node.append(onnx.helper.make_node(kind, [output.name], ["answer"], **attributes))
        output.name = "answer"

    return change


def normalised(model: Any) -> None:
    """The picture minus a mean, before all else."""
    onnx = pytest.importorskip("onnx")
    picture = model.graph.input[0].name
    mean = onnx.numpy_helper.from_array(torch.full((1, 3, 1, 1), 0.5).numpy(), "mean")
    model.graph.initializer.append(mean)
    node_of(model, "conv1/Conv").input[0] = "normalised"
    model.graph.node.insert(0, onnx.helper.make_node("Sub", [picture, "mean"], ["normalised"]))


def other_shortcut(model: Any) -> None:
    """The second block adds what went into the first: the same shapes, the same nodes."""
    before = node_of(model, "maxpool").output[0]
    added = node_of(model, "layer1.1/Add")
    added.input[1] = before


def average_pooling(model: Any) -> None:
    """In the stem, with the very window of the maximum."""
    pool = node_of(model, "maxpool")
    pool.op_type = "AveragePool"
    kept = [attribute for attribute in pool.attribute if attribute.name not in {"dilations", "ceil_mode"}]
    del pool.attribute[:]
    pool.attribute.extend(kept)


def leaky(model: Any) -> None:
    node_of(model, "layer3.0/relu/").op_type = "LeakyRelu"


def moved_before(late: str, early: str) -> Change:
    """Nodes in another order in which they can run."""

    def change(model: Any) -> None:
        nodes = list(model.graph.node)
        moved = [node for node in nodes if late in node.output[0]]
        rest = [node for node in nodes if late not in node.output[0]]
        place = next(i for i, node in enumerate(rest) if early in node.output[0])
        del model.graph.node[:]
        model.graph.node.extend([*rest[:place], *moved, *rest[place:]])

    return change


def without_defaults(model: Any) -> None:
    """Every attribute left out that says what ONNX takes anyway."""
    defaults = {"strides": [1, 1], "dilations": [1, 1], "pads": [0] * 4, "group": 1, "ceil_mode": 0}
    for node in model.graph.node:
        kept = [a for a in node.attribute if defaults.get(a.name) not in (list(a.ints), a.i)]
        del node.attribute[:]
        node.attribute.extend(kept)


def _changed_tensor(model: Any, ending: str, change: Callable[[Any], Any]) -> None:
    onnx = pytest.importorskip("onnx")
    tensor = next(each for each in model.graph.initializer if each.name.endswith(ending))
    tensor.CopyFrom(onnx.numpy_helper.from_array(change(onnx.numpy_helper.to_array(tensor)), tensor.name))


def product_and_sum(model: Any) -> None:
    """The last layer as exporters of other libraries write it."""
    onnx = pytest.importorskip("onnx")
    layer = node_of(model, model.graph.output[0].name)
    features, weight, bias = layer.input
    _changed_tensor(model, weight, lambda values: values.T.copy())
    model.graph.node.remove(layer)
    product = onnx.helper.make_node("MatMul", [features, weight], ["product"])
    total = onnx.helper.make_node("Add", [bias, "product"], [model.graph.output[0].name])
    model.graph.node.extend([product, total])


def shape_in_numbers(model: Any) -> None:
    """A reshaping whose sizes lie in the file as onnx's own helper writes them, one by one."""
    onnx = pytest.importorskip("onnx")
    flatten = next(node for node in model.graph.node if node.op_type == "Flatten")
    model.graph.initializer.append(onnx.helper.make_tensor("sizes", onnx.TensorProto.INT64, [2], [-1, 512]))
    flatten.op_type = "Reshape"
    flatten.input.append("sizes")
    del flatten.attribute[:]


def one_output(model: Any) -> None:
    """Without its axis, as a loss on single numbers wants it."""
    for name in ("fc.weight", "fc.bias"):
        _changed_tensor(model, name, lambda values: values[:1].copy())
    appended("Squeeze")(model)


def unnamed(model: Any) -> None:
    """By an exporter that says its version alone."""
    model.ClearField("producer_name")


def quantised(model: Any) -> None:
    """The weights of the first convolution, as the tools for int8 leave them."""
    onnx = pytest.importorskip("onnx")
    name = node_of(model, "conv1/Conv").input[1]
    _changed_tensor(model, name, lambda values: (100 * values).astype("int8"))
    scale = onnx.numpy_helper.from_array(torch.tensor(0.01).numpy(), "scale")
    model.graph.initializer.append(scale)
    node = onnx.helper.make_node("DequantizeLinear", [name, "scale"], ["dequantised"])
    node_of(model, "conv1/Conv").input[1] = "dequantised"
    model.graph.node.insert(0, node)
