"""Whose tensors are these? From names and shapes alone to the architectures and heads that they fit.

state dict -> where trunks lie in it -> which architectures' -> which head

Knows the architectures by name. A name fits or it does not; strides and activations leave no trace in tensors,
so what fits may still compute otherwise, and whoever can ask must ask.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping
from functools import cache

import torch
from torch import Tensor

from app.domain import ConcatPoolHead, FlattenHead, HeadSpec, LinearHead, MlpHead, OwnHead
from app.errors import ManifestInvalid
from app.nets.architecture import Architecture
from app.nets.architectures import ARCHITECTURES
from app.nets.naming import BATCH_COUNTER, first_inputs, head_found, head_names, script_name

Shape = tuple[int, ...]


def fitting_architectures(state: Mapping[str, Tensor]) -> list[str]:
    """Names of the architectures whose every trunk tensor is in the state dict, in the right shape."""
    return [name for name, architecture in ARCHITECTURES.items() if _holds_trunk(state, architecture)]


def trunk_places(state: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """Where trunks lie: what was put before the names -> the architectures that fit without it.

    Each architecture has a tensor that is its sign, and wherever a name ends in it a trunk may begin. What all
    names share would be no guide: many trunks lie wholly under `features.`, and a script may keep a second
    network or a large head beside the trunk.
    """
    signs = {architecture.sign[0] for architecture in ARCHITECTURES.values() if architecture.sign}
    starts = {name.removesuffix(sign) for name in state for sign in signs if name.endswith(sign)}
    places: dict[str, list[str]] = {}
    for start in sorted(start for start in starts if not start or start.endswith(".")):
        inside = {name[len(start) :]: tensor for name, tensor in state.items() if name.startswith(start)}
        candidates = fitting_architectures(inside)
        if candidates:
            places[start] = candidates
    return places


def wrapping(state: Mapping[str, Tensor]) -> tuple[str, list[str]]:
    """What was put before the names, and the architectures that fit without it."""
    places = trunk_places(state)
    return next(iter(places.items())) if places else (common_prefix(state), [])


def head_in(state: Mapping[str, Tensor], architecture: Architecture) -> tuple[HeadSpec, int] | None:
    """The head that a state dict seems to hold for this architecture, and its class count.

    An own head of these very shapes is taken for one: MobileNetV3's could also be an MLP with ReLU, which
    no tensor tells apart.
    """
    if architecture.own_head is not None:
        names = head_names(OwnHead(), state, architecture.place)
        last = state.get(f"{list(names.values())[-1]}.weight")
        if last is not None and last.dim() and last.shape[0]:
            with torch.device("meta"):
                own = architecture.own_head.build(last.shape[0])
            shapes = {script_name(f"head.{n}", names): t.shape for n, t in own.state_dict().items()}
            if all(name in state and state[name].shape == shape for name, shape in shapes.items()):
                return OwnHead(), last.shape[0]
    found = head_found(state, architecture.place)
    if found is None or not isinstance(found[0], LinearHead | MlpHead):
        return found
    hidden = found[0].hidden if isinstance(found[0], MlpHead) else ()
    inputs = first_inputs(state, architecture.place)
    if inputs == 2 * architecture.feature_channels:
        return ConcatPoolHead(hidden), found[1]
    cells = math.isqrt(inputs // architecture.feature_channels)
    if cells > 1 and inputs == architecture.feature_channels * cells**2:
        return FlattenHead(cells, hidden), found[1]
    return found


def common_prefix(names: Collection[str]) -> str:
    """The dotted prefix that nearly all names share, such as `module.` or `model.backbone.`; often ''.

    Nearly all: a loss or a metric may be saved beside the network.
    """
    prefix = ""
    while names:
        rests = [name[len(prefix) :] for name in names if name.startswith(prefix)]
        (first, count), *_ = Counter(rest.partition(".")[0] for rest in rests).most_common(1)
        if count < 0.8 * len(names) or all("." not in rest for rest in rests):
            break
        prefix += f"{first}."
    return prefix


@cache
def trunk_shapes(architecture: Architecture) -> Mapping[str, Shape]:
    """Every tensor of a trunk but the batch counters: name -> shape; raises ManifestInvalid without its library."""
    with torch.device("meta"):
        trunk = architecture.build_trunk()
    return {
        name: tuple(tensor.shape)
        for name, tensor in trunk.state_dict().items()
        if not name.endswith(BATCH_COUNTER)
    }


@cache
def trunk_children(architecture: Architecture) -> tuple[str, ...]:
    """Its modules in the order in which they run."""
    with torch.device("meta"):
        return tuple(name for name, _ in architecture.build_trunk().named_children())


def _holds_trunk(state: Mapping[str, Tensor], architecture: Architecture) -> bool:
    """Every trunk tensor is there, and no other beside the head: resnet18 is not a part of resnet34."""
    if architecture.sign is not None:
        # Building all the trunks takes eight seconds; the first tensor rules most of them out.
        name, channels = architecture.sign
        if name not in state or tuple(state[name].shape[:1]) != (channels,):
            return False
    try:
        shapes = trunk_shapes(architecture)
    except ManifestInvalid:
        return False  # needs a library that is not installed
    stages = {name.partition(".")[0] for name in shapes}
    others = (n for n in state if n not in shapes and not n.endswith(BATCH_COUNTER))
    return all(name in state and tuple(state[name].shape) == shape for name, shape in shapes.items()) and (
        not any(name.partition(".")[0] in stages for name in others)
    )
