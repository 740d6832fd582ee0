"""What follows the pooling, under local names -> a head that can be served, exactly or not at all.

{"weight": ...} or {"2.weight": ..., "4.running_mean": ...} -> HeadSpec, and tensors where the architecture has them

The architecture's own last layers are told by their shapes; otherwise the linear layers (head_layers.py), and
what the first of them takes tells how the features were pooled.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

from app.checkpoints.found import Answers, Note, Question
from app.checkpoints.head_layers import HeadLayers, Segment, head_layers
from app.checkpoints.head_modules import AT_END, CONCAT_POOL, PASSIVE, Modules, modules_of
from app.checkpoints.pickled import Thing
from app.domain import ConcatPoolHead, ConvCamHead, FlattenHead, HeadSpec, LinearHead, MlpHead, OwnHead
from app.errors import WeightsRefused
from app.nets.architecture import Architecture
from app.nets.naming import head_names
from app.nets.recognition import head_in

OWN_KINDS: Final[Mapping[str, Sequence[str]]] = {
    "alexnet": ("Linear", "ReLU", "Linear", "ReLU", "Linear"),
    "vgg": ("Linear", "ReLU", "Linear", "ReLU", "Linear"),
    "squeezenet": ("Conv2d", "ReLU"),
    "mobilenet_v3": ("Linear", "Hardswish", "Linear"),
    "convnext": ("LayerNorm2d", "Linear"),
}
"""By family, what its own head runs through beside dropout, pooling and flattening, as torchvision builds it."""
FLATTENING: Final = {"alexnet": 6, "vgg": 7}
"""Families whose pooling keeps a grid, and its side in cells."""
POSITIVE: Final = frozenset(
    {"alexnet", "vgg", "squeezenet", "densenet", "inception", "googlenet", "shufflenet_v2", "mobilenet_v2",
     "mnasnet", "resnet", "resnext", "wide_resnet", "resnet_v1", "cifar_resnet"}
)  # fmt: skip
"""Families whose features come from a ReLU."""


@dataclass(frozen=True, slots=True)
class HeadFound:
    """A head as the networks know it."""

    spec: HeadSpec
    class_count: int
    outputs: int
    """Of its last layer; one becomes two classes."""
    tensors: Mapping[str, Tensor]
    """Where the architecture keeps its head: `fc....`, `classifier....`."""
    notes: tuple[Note, ...] = field(default=())


def head_form(
    tensors: Mapping[str, Tensor],
    architecture: Architecture,
    *,
    style: str,
    answers: Answers,
    module: Thing | None = None,
) -> HeadFound | Question | None:
    """The head in servable form; None where there is none.

    Args:
        tensors: local names.
        architecture: whose trunk is before it.
        style: "fastai" fixes what stands between the layers.
        answers: what its owner said.
        module: the head itself, where the file is a whole module.

    Raises:
        WeightsRefused: no head kind computes this.
    """
    if not tensors:
        return None
    modules = None if module is None else modules_of(module)
    own = _own(tensors, architecture, answers, modules)
    if own is not None:
        return own
    root = architecture.place.root
    if {"conv.weight", "linear.weight"} <= set(tensors):
        return _conv_cam(tensors, root, answers, modules)
    channels = architecture.feature_channels
    cells = FLATTENING.get(architecture.family, 1)
    layers = head_layers(
        tensors,
        inputs=(channels, channels * cells**2, 2 * channels),
        style=style,
        answers=answers,
        modules=modules,
        is_positive=architecture.family in POSITIVE,
    )
    if isinstance(layers, Question):
        return layers
    hidden = tuple(len(segment.bias) for segment in layers.segments[:-1])
    inputs = layers.segments[0].weight.shape[1]
    spec: HeadSpec
    if inputs == channels:
        spec = MlpHead(hidden) if hidden else LinearHead()
    elif inputs == channels * cells**2:
        spec = FlattenHead(cells, hidden)
    elif inputs == 2 * channels:
        order = _pooling_order(answers, modules, is_fastai=layers.is_fastai)
        if isinstance(order, Question):
            return order
        layers.notes.append(Note("settled", f"{order} pooling side by side, in this order"))
        if order == "average-max":
            first = layers.segments[0]
            first.weight = first.weight.roll(channels, dims=1)
        spec = ConcatPoolHead(hidden)
    else:
        raise WeightsRefused(_wrong_inputs(inputs, channels, cells))
    return _finished(spec, layers, root)


def _wrong_inputs(inputs: int, channels: int, cells: int) -> str:
    flat = f", {channels * cells**2} flattened" if cells > 1 else ""
    side = math.isqrt(inputs // channels)
    guess = (
        f"; {side} x {side} cells, flattened without pooling, are only known of AlexNet and VGG"
        if side > 1 and side != cells and inputs == channels * side**2
        else ""
    )
    return f"its head takes {inputs} numbers, the trunk gives {channels}{flat}{guess}"


def _pooling_order(answers: Answers, modules: Modules | None, *, is_fastai: bool) -> str | Question:
    if answers.pooling is not None:
        answers.use("pooling")
        return answers.pooling
    is_named = modules is not None and CONCAT_POOL in modules.kinds.values()
    if is_fastai or is_named:
        return "max-average"
    return Question(
        "in which order maximum and average pooling stand side by side before its head (the tensors do not say)",
        "--head-pooling max-average (fastai), or --head-pooling average-max (timm's catavgmax)",
    )


def _own(
    tensors: Mapping[str, Tensor], architecture: Architecture, answers: Answers, modules: Modules | None
) -> HeadFound | None:
    """The architecture's own last layers, where shapes and modules are theirs and the owner says nothing else."""
    if architecture.own_head is None or (answers.activation, answers.activation_at) != (None, None):
        return None
    root = architecture.place.root
    state = {f"{root}.{name}" if name else root: tensor for name, tensor in tensors.items()}
    found = head_in(state, architecture)
    if found is None or not isinstance(found[0], OwnHead):
        return None
    names = list(head_names(OwnHead(), state, architecture.place).values())
    if any(name.rpartition(".")[0] not in names for name in state):
        return None
    if modules is not None:
        kinds = [kind for _, kind in sorted(modules.kinds.items()) if kind not in AT_END | PASSIVE]
        if kinds != list(OWN_KINDS.get(architecture.family, ())):
            return None
        _check_convolutions(modules)
    tensors = dict(state)
    notes = [Note("settled", f"its last layers have the shapes of {architecture.name}'s own: read as such")]
    weight, bias = f"{names[-1]}.weight", f"{names[-1]}.bias"
    outputs = count = found[1]
    if count == 1:
        tensors[weight], tensors[bias] = _two_classes(tensors[weight], tensors[bias])
        count = 2
        notes.append(ONE_OUTPUT)
    return HeadFound(OwnHead(), count, outputs, tensors, tuple(notes))


ONE_OUTPUT: Final = Note(
    "settled",
    "one output, read as BCEWithLogitsLoss trains it: half of it is the second class's logit, less half of it the first's",
)


def _two_classes(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Their softmax is the sigmoid of the one output, and either has evidence."""
    return torch.cat([-weight / 2, weight / 2]), torch.cat([-bias / 2, bias / 2])


def _finished(spec: HeadSpec, layers: HeadLayers, root: str) -> HeadFound:
    segments, notes = layers.segments, list(layers.notes)
    outputs = class_count = len(segments[-1].bias)
    if class_count == 1:
        last = segments[-1]
        segments[-1] = Segment(*_two_classes(last.weight, last.bias))
        class_count = 2
        notes.append(ONE_OUTPUT)
    names = [root] if len(segments) == 1 else [f"{root}.{2 * index}" for index in range(len(segments))]
    tensors: dict[str, Tensor] = {}
    for name, segment in zip(names, segments, strict=True):
        tensors[f"{name}.weight"] = segment.weight.float().contiguous()
        tensors[f"{name}.bias"] = segment.bias.float().contiguous()
    return HeadFound(spec, class_count, outputs, tensors, tuple(notes))


CONV_CAM: Final = ["Conv2d", "ReLU", "AdaptiveAvgPool2d", "Linear"]


def _conv_cam(
    tensors: Mapping[str, Tensor], root: str, answers: Answers, modules: Modules | None
) -> HeadFound | Question:
    """Raises WeightsRefused where it is another head with these names."""
    conv, linear = tensors["conv.weight"], tensors["linear.weight"]
    if conv.ndim != 4 or conv.shape[2] != conv.shape[3] or linear.ndim != 2:
        raise WeightsRefused("its head `conv`, `linear` has shapes that conv_cam has not")
    if modules is not None:
        idle = (AT_END | PASSIVE) - {"AdaptiveAvgPool2d"}
        kinds = [kind for _, kind in sorted(modules.kinds.items()) if kind not in idle]
        if kinds != CONV_CAM:
            raise WeightsRefused(f"its head runs {', '.join(kinds)}; conv_cam is {', '.join(CONV_CAM)}")
        _check_convolutions(modules)
    elif answers.activation is None:
        about = (
            "whether its head is conv_cam: a convolution without padding, ReLU, average pooling, a linear layer (a "
            "file of weights does not say)"
        )
        return Question(about, "--head-activation relu")
    elif answers.activation == "relu":
        answers.use("activation")
    else:
        raise WeightsRefused(
            "its head has a convolution; conv_cam has ReLU behind it, and no other head has one"
        )
    spec = ConvCamHead(kernel_size=conv.shape[2], channels=conv.shape[0])
    note = Note(
        "settled",
        "convolution and linear layer: read as conv_cam, without padding, with ReLU and average pooling between",
    )
    named = {f"{root}.{name}": tensor for name, tensor in tensors.items()}
    return HeadFound(spec, len(linear), len(linear), named, (note,))


def _check_convolutions(modules: Modules) -> None:
    """Raises WeightsRefused where one pads or skips; the served heads' never do."""
    plain = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    for position, kind in modules.kinds.items():
        for attribute, own in plain.items() if kind == "Conv2d" else ():
            value = modules.states[position].get(attribute, own)
            if value != own:
                raise WeightsRefused(
                    f"its head's convolution has {attribute} = {ascii(value)[:40]}, {own} is served"
                )
