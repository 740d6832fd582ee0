"""How the training script's tensor names and the servable's own meet.

The script's model is a torchvision network whose `fc` was replaced: trunk names stand at the top level,
the head's under `fc.`. The servable keeps the two apart as `trunk.` and `head.`:

    conv1.weight                      trunk.conv1.weight
    fc.weight, or fc.1.weight behind a dropout        head.linear.weight
    fc.0.weight, fc.3.weight, ... of an MLP           head.layers.0.weight, head.layers.1.weight, ...
    fc.conv.weight, fc.linear.weight                  head.conv.weight, head.linear.weight

An index in a `Sequential` also counts dropouts and ReLUs, which hold no tensors, so it is read from the
file and kept: what was loaded from `fc.1.weight` is saved under `fc.1.weight`.
"""

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from app.domain import ConvCamHead, HeadSpec, LinearHead, MlpHead

BATCH_COUNTER = ".num_batches_tracked"
"""Batch normalisation counts its training batches; serving needs no such tensor, older files lack it."""


def head_names(head: HeadSpec, found: Iterable[str] = ()) -> dict[str, str]:
    """The head's layers: name inside the servable's head -> name in the training script's model.

    Args:
        head: the head that the manifest declares.
        found: the names in a file, whose indices are followed where they are as many as expected.
    """
    names = set(found)
    indices = _indices(names)
    match head:
        case LinearHead():
            behind_dropout = "fc.weight" not in names and len(indices) == 1
            return {"linear": f"fc.{indices[0]}" if behind_dropout else "fc"}
        case MlpHead(hidden=hidden):
            count = len(hidden) + 1
            if len(indices) != count:
                indices = [2 * position for position in range(count)]  # Linear, ReLU, Linear, ...
            return {f"layers.{position}": f"fc.{index}" for position, index in enumerate(indices)}
        case ConvCamHead():
            return {"conv": "fc.conv", "linear": "fc.linear"}


def script_name(name: str, head: Mapping[str, str]) -> str:
    """The servable's `trunk.conv1.weight` -> the script's `conv1.weight`; likewise for the head."""
    room, _, rest = name.partition(".")
    if room == "trunk":
        return rest
    layer, _, tensor = rest.rpartition(".")
    return f"{head[layer]}.{tensor}"


def head_found(state: Mapping[str, Tensor]) -> tuple[HeadSpec, int] | None:
    """The head that a state dict seems to hold, and its class count; None where it is no head we know."""
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items() if name.startswith("fc.")}
    match shapes.get("fc.weight"), shapes.get("fc.conv.weight"), shapes.get("fc.linear.weight"):
        case (classes, _), None, None:
            return LinearHead(), classes
        case None, (channels, _, kernel, width), (classes, _) if kernel == width:
            return ConvCamHead(kernel_size=kernel, channels=channels), classes
        case _:
            pass
    layers = [shapes[f"fc.{index}.weight"] for index in _indices(shapes)]
    if not layers or any(len(shape) != 2 for shape in layers):
        return None
    outputs = [shape[0] for shape in layers]
    if [shape[1] for shape in layers[1:]] != outputs[:-1]:
        return None
    return (MlpHead(tuple(outputs[:-1])) if outputs[:-1] else LinearHead()), outputs[-1]


def _indices(names: Iterable[str]) -> list[int]:
    found = (re.fullmatch(r"fc\.(\d{1,4})\.weight", name, re.ASCII) for name in names)
    return sorted(int(match[1]) for match in found if match)
