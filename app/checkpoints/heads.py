"""What follows the pooling, under local names -> a head that can be served, exactly or not at all.

{"weight": ...} or {"2.weight": ..., "4.running_mean": ...} -> HeadSpec and `fc....` tensors

Batch normalisation beside a linear layer is folded into it, in float64; two linear layers with nothing between
become one. What stands in a gap of the positions holds no tensors, so a file cannot tell ReLU from tanh:
a whole module can, and otherwise its owner must.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

from app.checkpoints.found import Answers, Note, Question
from app.checkpoints.pickled import Thing
from app.domain import ConvCamHead, HeadSpec, LinearHead, MlpHead
from app.errors import WeightsRefused

NORM_EPSILON: Final = 1e-5
"""Of torch's BatchNorm1d, and of fastai's."""
PASSIVE: Final = frozenset({"Dropout", "Identity", "Flatten", "AdaptiveAvgPool2d"})


@dataclass(frozen=True, slots=True)
class HeadFound:
    """A head as the networks know it."""

    spec: HeadSpec
    class_count: int
    tensors: Mapping[str, Tensor]
    """Under `fc.`."""
    notes: tuple[Note, ...] = ()


@dataclass(slots=True)
class _Layer:
    """One affine map, in float64, and whether something nonlinear stands before it."""

    index: int
    weight: Tensor
    bias: Tensor
    last_index: int


@dataclass(slots=True)
class _Chain:
    layers: list[_Layer] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def head_form(
    tensors: Mapping[str, Tensor],
    *,
    channels: int,
    style: str,
    answers: Answers,
    modules: Mapping[int, Thing] | None = None,
) -> HeadFound | Question | None:
    """The head in servable form; None where there is none.

    Args:
        tensors: local names.
        channels: of the trunk's features.
        style: "fastai" fixes what stands between the layers.
        answers: what its owner said.
        modules: position -> module, where the file is a whole module.

    Raises:
        WeightsRefused: no head kind computes this.
    """
    if not tensors:
        return None
    if {"conv.weight", "linear.weight"} <= set(tensors):
        return _conv_cam(tensors)
    chain = _chain(tensors, knows_gaps=style == "fastai" or modules is not None)
    _check_ends(modules or {}, chain)
    first = chain.layers[0]
    if first.weight.shape[1] == 2 * channels:
        raise WeightsRefused(
            f"its head takes {2 * channels} numbers of a trunk that gives {channels}: average and maximum pooling side "
            "by side (fastai's AdaptiveConcatPool2d). No head kind serves the maximum yet, so this cannot be exact; "
            "train with cnn_learner(..., concat_pool=False)"
        )
    if first.weight.shape[1] != channels:
        raise WeightsRefused(f"its head takes {first.weight.shape[1]} numbers, the trunk gives {channels}")
    merged: list[_Layer] = [first]
    for layer in chain.layers[1:]:
        between = _between(merged[-1], layer, style, answers, modules)
        if isinstance(between, Question):
            return between
        if layer.weight.shape[1] != merged[-1].weight.shape[0]:
            raise WeightsRefused("its head's layers do not follow one another in size; its order is unknown")
        if between:
            merged.append(layer)
            continue
        last = merged[-1]
        last.bias = layer.weight @ last.bias + layer.bias
        last.weight = layer.weight @ last.weight
        last.last_index = layer.last_index
        chain.notes.append(Note("folded", "two linear layers with nothing between them into one"))
    return _finished(merged, chain.notes)


def _finished(layers: list[_Layer], notes: list[Note]) -> HeadFound:
    class_count = layers[-1].weight.shape[0]
    if class_count == 1:
        last = layers[-1]
        last.weight = torch.cat([torch.zeros_like(last.weight), last.weight])
        last.bias = torch.cat([torch.zeros_like(last.bias), last.bias])
        class_count = 2
        notes.append(
            Note(
                "settled",
                "one output, read as BCEWithLogitsLoss trains it: the logit of the second class; the first gets 0",
            )
        )
    names = ["fc"] if len(layers) == 1 else [f"fc.{2 * position}" for position in range(len(layers))]
    tensors: dict[str, Tensor] = {}
    for name, layer in zip(names, layers, strict=True):
        tensors[f"{name}.weight"] = layer.weight.float().contiguous()
        tensors[f"{name}.bias"] = layer.bias.float().contiguous()
    hidden = tuple(layer.weight.shape[0] for layer in layers[:-1])
    return HeadFound(MlpHead(hidden) if hidden else LinearHead(), class_count, tensors, tuple(notes))


def _conv_cam(tensors: Mapping[str, Tensor]) -> HeadFound:
    conv, linear = tensors["conv.weight"], tensors["linear.weight"]
    if conv.ndim != 4 or conv.shape[2] != conv.shape[3] or linear.ndim != 2:
        raise WeightsRefused("its head `conv`, `linear` has shapes that conv_cam has not")
    spec = ConvCamHead(kernel_size=conv.shape[2], channels=conv.shape[0])
    note = Note(
        "settled", "convolution and linear layer: read as conv_cam, with ReLU and average pooling between"
    )
    named = {f"fc.{name}": tensor for name, tensor in tensors.items()}
    return HeadFound(spec, linear.shape[0], named, (note,))


def _between(
    before: _Layer, after: _Layer, style: str, answers: Answers, modules: Mapping[int, Thing] | None
) -> bool | Question:
    """Whether a ReLU stands between two linear layers."""
    gap = range(before.last_index + 1, after.index)
    if modules is not None:
        kinds = [modules[index].made_by.name for index in gap if index in modules]
        others = [kind for kind in kinds if not kind.startswith("Dropout") and kind not in PASSIVE | {"ReLU"}]
        if others:
            raise WeightsRefused(
                f"its head has {', '.join(others)} between linear layers; only ReLU can be served"
            )
        return "ReLU" in kinds
    if style == "fastai" and gap:
        return True
    if not gap:
        return False
    if answers.activation is not None:
        return answers.activation == "relu"
    return Question(
        f"what stands at position {gap[0]} of the head, between its linear layers (a file of weights does not say)",
        "--head-activation relu, or --head-activation none for dropout alone",
    )


def _check_ends(modules: Mapping[int, Thing], chain: _Chain) -> None:
    """Of a whole module: what stands before the first linear layer and after the last changes no prediction."""
    for index, module in modules.items():
        kind = module.made_by.name
        if index < chain.layers[0].index:
            is_harmless = kind.startswith("Dropout") or kind in PASSIVE | {
                "ReLU"
            }  # pooled features are positive
        elif index > chain.layers[-1].last_index:
            is_harmless = kind.startswith("Dropout") or kind in PASSIVE | {"Softmax", "LogSoftmax"}
        else:
            continue
        if not is_harmless:
            raise WeightsRefused(f"its head has {kind} at position {index}; no head kind computes that")


def _chain(tensors: Mapping[str, Tensor], *, knows_gaps: bool) -> _Chain:
    """The linear layers in their order, batch normalisation folded into them."""
    chain = _Chain()
    if "weight" in tensors:
        tensors = {f"0.{name}": tensor for name, tensor in tensors.items()}
    rooms: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        match = re.fullmatch(r"(\d{1,4})(?:\.linear)?\.(\w+)", name, re.ASCII)
        if match is None:
            raise WeightsRefused(
                f"its head has {ascii(name)[:60]}: layers with names of their own, whose order a file does not say"
            )
        rooms.setdefault(int(match[1]), {})[match[2]] = (
            tensor.double() if tensor.is_floating_point() else tensor
        )
    waiting: tuple[int, Tensor, Tensor] | None = None  # a batch normalisation before its linear layer
    for index, room in sorted(rooms.items()):
        weight = room.get("weight")
        if "running_mean" in room:
            gain, offset = _affine(room)
            last = chain.layers[-1] if chain.layers else None
            if last is not None and last.last_index == index - 1:
                last.weight, last.bias = gain[:, None] * last.weight, gain * last.bias + offset
                last.last_index = index
                chain.notes.append(
                    Note("folded", f"batch normalisation {index} into the linear layer before it")
                )
            else:
                waiting = (index, gain, offset)
            continue
        if weight is None or weight.ndim != 2:
            shape = None if weight is None else tuple(weight.shape)
            raise WeightsRefused(
                f"its head has a layer of shape {shape} at position {index}; only linear ones serve"
            )
        bias = room.get("bias", torch.zeros(weight.shape[0], dtype=torch.float64))
        if waiting is not None:
            position, gain, offset = waiting
            if index - position > 1 and not knows_gaps:
                raise WeightsRefused(
                    f"its head has batch normalisation at {position} and a linear layer at {index}; whether ReLU or "
                    "dropout stands between, a file of weights does not say: save the whole model, torch.save(model, ...)"
                )
            weight, bias = weight * gain[None], weight @ offset + bias
            chain.notes.append(
                Note("folded", f"batch normalisation {position} into the linear layer after it")
            )
            # Had a ReLU stood between the two, nobody would have normalised before it: fastai's order.
            layer = _Layer(position, weight, bias, index)
            waiting = None
        else:
            layer = _Layer(index, weight, bias, index)
        chain.layers.append(layer)
    if waiting is not None or not chain.layers:
        raise WeightsRefused("its head ends in batch normalisation, or has no linear layer")
    return chain


def _affine(room: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Batch normalisation in eval mode as gain and offset, float64."""
    gain = 1.0 / torch.sqrt(room["running_var"] + NORM_EPSILON)
    gain = gain * room.get("weight", torch.ones_like(gain))
    return gain, room.get("bias", torch.zeros_like(gain)) - room["running_mean"] * gain
