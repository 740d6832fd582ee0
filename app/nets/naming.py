"""How the training script's tensor names and the servable's own meet.

The script's model is a library's network whose last layer was replaced: trunk names stand at the top
level, the head's under `fc.`, `classifier.` or wherever this architecture keeps it. The servable keeps
the two apart as `trunk.` and `head.`:

    conv1.weight                      trunk.conv1.weight
    fc.weight, or fc.1.weight behind a dropout        head.linear.weight
    fc.0.weight, fc.3.weight, ... of an MLP           head.layers.0.weight, head.layers.1.weight, ...
    fc.conv.weight, fc.linear.weight                  head.conv.weight, head.linear.weight
    classifier.0.weight, ... of an own head           head.layers.0.weight, ...

An index in a `Sequential` also counts dropouts and ReLUs, which hold no tensors, so it is read from the
file and kept: what was loaded from `fc.1.weight` is saved under `fc.1.weight`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from app.domain import ConcatPoolHead, ConvCamHead, FlattenHead, HeadSpec, LinearHead, MlpHead, OwnHead

BATCH_COUNTER = ".num_batches_tracked"
"""Batch normalisation counts its training batches; serving needs no such tensor, older files lack it."""


@dataclass(frozen=True, slots=True)
class HeadPlace:
    """Where an architecture keeps its head, in the library's names."""

    root: str
    """The module that fine-tuning replaces."""
    linear: str
    """The last linear layer of the untouched network: the root itself, or a layer in it."""
    own: tuple[tuple[str, str], ...] = ()
    """The layers of a head of its own: name inside the servable's head, name in the script's network."""


FC = HeadPlace(root="fc", linear="fc")


def head_names(head: HeadSpec, found: Iterable[str] = (), place: HeadPlace = FC) -> dict[str, str]:
    """The head's layers: name inside the servable's head -> name in the training script's model.

    Args:
        head: the head that the manifest declares.
        found: the names in a file, whose indices are followed where they are as many as expected.
        place: where the architecture keeps its head.
    """
    names = set(found)
    layers = _layers(names, place.root)
    match head:
        case OwnHead() if place.own:
            return {own: _followed(script, names) for own, script in place.own}
        case LinearHead() | OwnHead():
            return {"linear": layers[0] if len(layers) == 1 else place.linear}
        case MlpHead(hidden=hidden) | FlattenHead(hidden=hidden) | ConcatPoolHead(hidden=hidden):
            count = len(hidden) + 1
            if len(layers) != count:
                layers = [f"{place.root}.{2 * i}" for i in range(count)]  # Linear, ReLU, Linear, ...
            return {f"layers.{position}": layer for position, layer in enumerate(layers)}
        case ConvCamHead():
            return {"conv": f"{place.root}.conv", "linear": f"{place.root}.linear"}


def script_name(name: str, head: Mapping[str, str]) -> str:
    """The servable's `trunk.conv1.weight` -> the script's `conv1.weight`; likewise for the head."""
    room, _, rest = name.partition(".")
    if room == "trunk":
        return rest
    layer, _, tensor = rest.rpartition(".")
    return f"{head[layer]}.{tensor}"


def head_found(state: Mapping[str, Tensor], place: HeadPlace = FC) -> tuple[HeadSpec, int] | None:
    """The head that a state dict seems to hold, and its class count; None where it is no head we know.

    An architecture's own head is not looked for here: it takes its shapes to tell it from an MLP.
    """
    root = place.root
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items() if name.startswith(f"{root}.")}
    match shapes.get(f"{root}.conv.weight"), shapes.get(f"{root}.linear.weight"):
        case (channels, _, kernel, width), (classes, _) if kernel == width:
            return ConvCamHead(kernel_size=kernel, channels=channels), classes
        case _:
            pass
    layers = [shapes[f"{layer}.weight"] for layer in _layers(shapes, root)]
    if not layers or any(len(shape) != 2 for shape in layers):
        return None
    outputs = [shape[0] for shape in layers]
    if [shape[1] for shape in layers[1:]] != outputs[:-1]:
        return None
    return (MlpHead(tuple(outputs[:-1])) if outputs[:-1] else LinearHead()), outputs[-1]


def first_inputs(state: Mapping[str, Tensor], place: HeadPlace = FC) -> int:
    """How many numbers the head's first layer takes; 0 where there is none."""
    layers = _layers(state, place.root)
    return state[f"{layers[0]}.weight"].shape[1] if layers else 0


def _layers(names: Iterable[str], root: str) -> list[str]:
    """The head's layers in their order: the root itself, `fc.1`, `classifier.1.0`, ..."""
    pattern = re.compile(rf"{re.escape(root)}((?:\.\d{{1,4}})*)\.weight", re.ASCII)
    matches = [match for name in names if (match := pattern.fullmatch(name))]
    matches.sort(key=lambda match: [int(part) for part in match[1].split(".")[1:]])
    return [match[0].removesuffix(".weight") for match in matches]


def _followed(layer: str, names: set[str]) -> str:
    """A layer of an own head that a script wrapped in a Sequential, for a dropout before it."""
    within = _layers(names, layer)
    return within[0] if len(within) == 1 else layer
