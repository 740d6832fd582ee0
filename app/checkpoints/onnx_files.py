"""An ONNX graph -> the tensors of a ResNet, told by what flows into what.

Graph -> whose convolutions these are -> walk: stem, blocks, head; every edge and attribute -> Raw

Neither names nor the order of the nodes are trusted: an exporter folds batch normalisation into the convolutions and
loses their names, and any order in which nodes can run is a valid one. Where batch normalisation is folded each
convolution gets one that adds its bias and does nothing else.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from app.checkpoints.found import Answers, Note
from app.checkpoints.onnx_bytes import Node
from app.checkpoints.onnx_graph import Graph, kinds_of, read_graph, refuse_training
from app.checkpoints.onnx_head import OnnxHead, read_head
from app.checkpoints.unwrap import Raw
from app.errors import WeightsRefused
from app.nets.architecture import Architecture
from app.nets.architectures import ARCHITECTURES
from app.nets.recognition import trunk_shapes

RESNETS: Final = frozenset({"resnet", "resnext", "wide_resnet", "resnet_v1", "cifar_resnet"})
QUANTISED: Final = re.compile("QLinear|[Qq]uantize|Integer$")
DEFAULTS: Final[Mapping[str, tuple[int, ...]]] = {
    "strides": (1, 1),
    "pads": (0, 0, 0, 0),
    "dilations": (1, 1),
    "group": (1,),
    "ceil_mode": (0,),
}
"""What ONNX takes where an attribute is absent, of a convolution or pooling in two dimensions."""


def read_onnx(path: Path, answers: Answers) -> tuple[Raw, Answers]:
    """The network in a graph, and the answers with what the graph itself says.

    Raises:
        WeightsRefused: unreadable, or not the graph of a ResNet.
    """
    graph = read_graph(path)
    try:
        _refuse_quantised(graph)
        architecture = _architecture(graph, answers)
        with torch.device("meta"):
            walk = _Walk(graph, architecture.name, architecture.build_trunk())
        head = read_head(graph, walk.features(), architecture.feature_channels)
    except WeightsRefused as refusal:
        raise WeightsRefused(f"{path.name}: {refusal.message}") from refusal
    origin = f"ONNX graph of {ascii(graph.producer)[1:-1][:40] or 'an unnamed exporter'}"
    note = Note("renamed", "tensors by where they stand in the graph")
    return Raw(origin, {**walk.tensors, **head.tensors}, notes=(note,)), _told(head, answers)


def _refuse_quantised(graph: Graph) -> None:
    kinds = sorted({node.kind for node in graph.nodes if QUANTISED.search(node.kind)})
    if kinds:
        raise WeightsRefused(
            f"it is quantised ({ascii(kinds[0])[1:-1][:40]}): import the network as it was before that"
        )


def _told(head: OnnxHead, answers: Answers) -> Answers:
    if head.activation is None:
        return answers
    if answers.activation not in {None, head.activation}:
        raise WeightsRefused(
            f"--head-activation {answers.activation}: in the graph it is {head.activation}; leave out the option"
        )
    return replace(answers, activation=head.activation)


def _architecture(graph: Graph, answers: Answers) -> Architecture:
    """The ResNet that has these convolutions; of two that differ in strides the one that its owner names."""
    shapes = Counter(
        tuple(graph.tensors[node.inputs[1]].shape) if node.inputs[1] in graph.tensors else ()
        for node in graph.nodes
        if node.kind == "Conv"
    )
    resnets = [each for each in ARCHITECTURES.values() if each.family in RESNETS]
    for architecture in sorted(resnets, key=lambda each: each.name != answers.architecture):
        if Counter(shape for shape in trunk_shapes(architecture).values() if len(shape) == 4) == shapes:
            return architecture
    raise WeightsRefused(
        f"an ONNX graph of {shapes.total()} convolutions that are no known ResNet's; import the .pth that it was "
        "exported from"
    )


@dataclass(slots=True)
class _Walk:
    """From the picture to the features, along the edges of a graph."""

    graph: Graph
    architecture: str
    own: nn.Module
    """The architecture's trunk: what the graph is compared with."""
    tensors: dict[str, Tensor] = field(default_factory=dict)
    """Under torchvision's names."""

    def features(self) -> str:
        """The value that the head pools; raises WeightsRefused where an edge or attribute is not the trunk's."""
        value = self._relu(self._convolution(self._picture(), "conv1", "bn1", then="Relu"), "bn1")
        for name, module in self.own.named_children():
            if name == "maxpool":
                pool = self._one(value, "MaxPool", "relu")
                self._same_attributes(name, pool, module, {})
                value = pool.outputs[0]
            elif name.startswith("layer"):
                for index, _ in module.named_children():
                    value = self._block(value, f"{name}.{index}")
        return value

    def _picture(self) -> str:
        if len(self.graph.inputs) != 1:
            raise WeightsRefused(f"its graph has {len(self.graph.inputs)} inputs; one picture is served")
        (name,) = self.graph.inputs
        readers = self.graph.readers(name)
        if not any(node.kind == "Conv" for node in readers):
            raise WeightsRefused(
                f"before its first convolution stands {kinds_of(readers)}, which would be lost; export the network "
                "without it, and state what it does to the pixels in [preprocess]"
            )
        return name

    def _block(self, value: str, block: str) -> str:
        own = dict(self.own.get_submodule(block).named_children())
        *inner, last = [name for name in own if name.startswith("conv")]
        end = value
        for name in inner:
            norm = f"{block}.{name.replace('conv', 'bn')}"
            end = self._relu(self._convolution(end, f"{block}.{name}", norm, then="Relu"), norm)
        end = self._convolution(end, f"{block}.{last}", f"{block}.{last.replace('conv', 'bn')}", then="Add")
        shortcut = value
        if "downsample" in own and own["downsample"] is not None:
            shortcut = self._convolution(value, f"{block}.downsample.0", f"{block}.downsample.1", then="Add")
        added = self._one(end, "Add", f"{block}.{last}")
        if Counter(added.inputs) != Counter((end, shortcut)):
            raise WeightsRefused(f"its {block} does not add what {self.architecture} adds there")
        return self._relu(added.outputs[0], block)

    def _relu(self, value: str, behind: str) -> str:
        return self._one(value, "Relu", behind).outputs[0]

    def _one(self, value: str, kind: str, behind: str) -> Node:
        readers = self.graph.readers(value)
        fitting = [node for node in readers if node.kind == kind]
        if len(fitting) != 1:
            raise self._other(readers, kind, behind)
        return fitting[0]

    def _other(self, readers: Sequence[Node], wanted: str, behind: str) -> WeightsRefused:
        return WeightsRefused(
            f"its convolutions are those of {self.architecture}, but behind its {behind} stands {kinds_of(readers)}, not "
            f"{wanted}: the tensors fit, the answers would be wrong"
        )

    def _convolution(self, value: str, layer: str, norm_layer: str, *, then: str) -> str:
        """The output of a convolution and its batch normalisation, which goes into a node of the kind `then`.

        That kind tells a block's first convolution from its downsampling, which read the same value.
        """
        found, behind = list[tuple[Node, Node | None, str]](), list[Node]()
        for node in self.graph.readers(value):
            if node.kind != "Conv":
                continue
            readers = self.graph.readers(node.outputs[0])
            norm = next((each for each in readers if each.kind == "BatchNormalization"), None)
            end = (norm or node).outputs[0]
            behind += self.graph.readers(end)
            if any(each.kind == then for each in self.graph.readers(end)):
                found.append((node, norm, end))
        if len(found) != 1:
            raise self._other(behind, then, layer)
        ((node, norm, end),) = found
        self._take(node, norm, layer, norm_layer)
        return end

    def _take(self, node: Node, norm: Node | None, layer: str, norm_layer: str) -> None:
        """The tensors of both; without a batch normalisation one that adds the bias and does nothing else."""
        own: Any = self.own.get_submodule(layer)
        own_norm: Any = self.own.get_submodule(norm_layer)
        weight = self.graph.tensors.get(node.inputs[1])
        if weight is None or weight.shape != own.weight.shape or node.inputs[0] in self.graph.tensors:
            raise WeightsRefused(f"its {layer} has another shape than {self.architecture}'s")
        self._same_attributes(layer, node, own, {"kernel_shape": tuple(weight.shape[2:])})
        channels = len(weight)
        bias = torch.zeros(channels)
        if len(node.inputs) > 2 and node.inputs[2]:
            bias = self.graph.tensors[node.inputs[2]].reshape(channels)
        if norm is None:
            gain, mean, variance = (
                torch.ones(channels),
                torch.zeros(channels),
                torch.ones(channels) - own_norm.eps,
            )
        else:
            self._check_norm(norm_layer, norm, own_norm)
            gain, offset, mean, variance = (self.graph.tensors[name] for name in norm.inputs[1:5])
            bias, mean = offset, mean - bias
        self.tensors |= {
            f"{layer}.weight": weight,
            f"{norm_layer}.weight": gain,
            f"{norm_layer}.bias": bias,
            f"{norm_layer}.running_mean": mean,
            f"{norm_layer}.running_var": variance,
        }

    def _check_norm(self, layer: str, node: Node, own: Any) -> None:
        epsilon = node.floats.get("epsilon", 1e-5)
        if not math.isclose(epsilon, own.eps, rel_tol=1e-6):  # ONNX keeps it in float32
            raise WeightsRefused(
                f"its {layer} has epsilon = {epsilon:g}, {self.architecture} has {own.eps:g}: the tensors fit, the answers "
                "would be wrong; export it with training=torch.onnx.TrainingMode.EVAL, which folds it into the weights"
            )
        refuse_training(node)

    def _same_attributes(
        self, layer: str, node: Node, own: Any, defaults: Mapping[str, tuple[int, ...]]
    ) -> None:
        if node.words.get("auto_pad", "NOTSET") != "NOTSET":
            raise WeightsRefused(
                f"its {layer} has auto_pad = {node.words['auto_pad']!r}: where the padding falls depends on the picture's "
                "size, and may be on one side alone"
            )
        wanted = {"kernel_shape": _pair(own.kernel_size), "strides": _pair(own.stride)}
        wanted |= {"pads": _pair(own.padding) * 2, "dilations": _pair(own.dilation)}
        wanted |= (
            {"group": (own.groups,)} if isinstance(own, nn.Conv2d) else {"ceil_mode": (int(own.ceil_mode),)}
        )
        for attribute, value in wanted.items():
            found = node.numbers.get(attribute, {**DEFAULTS, **defaults}.get(attribute))
            if found != value:
                raise WeightsRefused(
                    f"its {layer} has {attribute} = {found}, not {value}: the tensors fit, the answers would be wrong"
                )


def _pair(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple) else (value, value)
