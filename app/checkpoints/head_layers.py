"""The layers of a head, in their order, and what stands between them.

{"weight": ...} or {"2.weight": ..., "4.running_mean": ...} -> segments: affine maps in float64, a ReLU between each two

Batch normalisation is affine when serving and becomes one with the linear layers that it touches; so do two linear
layers with nothing between. What stands in a gap of the positions holds no tensors, so a file of weights cannot
tell ReLU from dropout: a whole module can, fastai's order is known, and otherwise its owner must say.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor

from app.checkpoints.found import Answers, Note, Question
from app.checkpoints.head_modules import AT_END, CONCAT_POOL, PASSIVE, Modules, Position
from app.errors import WeightsRefused
from app.nets.naming import BATCH_COUNTER

NORM_EPSILON: Final = 1e-5
"""Of torch's BatchNorm1d, and of fastai's."""


@dataclass(slots=True)
class Segment:
    """One affine map, in float64."""

    weight: Tensor
    """(outputs, inputs)."""
    bias: Tensor


@dataclass(slots=True)
class _Layer:
    position: Position
    tensors: dict[str, Tensor]
    is_norm: bool

    def affine(self, epsilon: float) -> tuple[Tensor, Tensor]:
        """Weight (outputs, inputs) and bias in float64; a batch normalisation's weight is a diagonal."""
        named = {name: tensor.double() for name, tensor in self.tensors.items()}
        if not self.is_norm:
            weight = named["weight"]
            return weight, named.get("bias", torch.zeros(len(weight), dtype=torch.float64))
        gain = named.get("weight", torch.ones_like(named["running_var"]))
        gain = gain / torch.sqrt(named["running_var"] + epsilon)
        return torch.diag(gain), named.get("bias", torch.zeros_like(gain)) - named["running_mean"] * gain


@dataclass(slots=True)
class HeadLayers:
    """Segments from the first to the last; between each two stands a ReLU."""

    segments: list[Segment]
    notes: list[Note] = field(default_factory=list)
    is_fastai: bool = False
    """Made by its `create_head`, and nobody else's in the same place."""


def head_layers(
    tensors: Mapping[str, Tensor],
    *,
    inputs: Sequence[int],
    style: str,
    answers: Answers,
    modules: Modules | None,
    is_positive: bool,
) -> HeadLayers | Question:
    """The layers of a head.

    Args:
        tensors: local names.
        inputs: how many numbers the first layer may take; tells it where layers have names of their own.
        style: "fastai" fixes what stands between the layers.
        answers: what its owner said.
        modules: where the file is a whole module.
        is_positive: the pooled features are never negative, so a ReLU before the first layer changes nothing.

    Raises:
        WeightsRefused: a layer that is no linear one, or an order that nobody can tell.
    """
    layers = _ordered(tensors, modules, inputs)
    if not any(not layer.is_norm for layer in layers):
        raise WeightsRefused("its head has no linear layer")
    if modules is not None:
        _check_ends(modules, layers, is_positive=is_positive)
    knows_order = style == "fastai" and _is_fastai(layers)
    if modules is None and not knows_order:
        _check_gaps(layers, answers)
    found = HeadLayers([], is_fastai=knows_order)
    before: _Layer | None = None
    for layer in layers:
        epsilon = modules.states[layer.position].get("eps") if modules else None
        weight, bias = layer.affine(epsilon if isinstance(epsilon, float) else NORM_EPSILON)
        is_active = before is not None and _is_active(
            before, layer, answers, modules, knows_order=knows_order
        )
        if isinstance(is_active, Question):
            return is_active
        last = found.segments[-1] if found.segments else None
        if last is not None and weight.shape[1] != last.weight.shape[0]:
            raise WeightsRefused("its head's layers do not follow one another in size; its order is unknown")
        if last is None or is_active:
            found.segments.append(Segment(weight, bias))
        else:
            last.weight, last.bias = weight @ last.weight, weight @ last.bias + bias
            found.notes.append(_folding(layer, before))
        before = layer
    return found


def _folding(layer: _Layer, before: _Layer | None) -> Note:
    if layer.is_norm:
        return Note("folded", f"batch normalisation {_dotted(layer.position)} into the layer before it")
    if before is not None and before.is_norm:
        return Note("folded", f"batch normalisation {_dotted(before.position)} into the layer after it")
    return Note("folded", "two linear layers with nothing between them into one")


def _dotted(position: Position) -> str:
    return ".".join(map(str, position))


# --- order -------------------------------------------------------------------------------------


def _ordered(tensors: Mapping[str, Tensor], modules: Modules | None, inputs: Sequence[int]) -> list[_Layer]:
    """Raises WeightsRefused for a layer that is neither linear nor batch normalisation, or an unknown order."""
    rooms: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if not f".{name}".endswith(BATCH_COUNTER):
            room, _, own = name.rpartition(".")
            rooms.setdefault(room, {})[own] = tensor
    for room, held in rooms.items():
        weight = held.get("weight")
        if "running_mean" in held and {"running_var", "running_mean"} <= set(held):
            continue
        if weight is None or weight.ndim != 2 or not set(held) <= {"weight", "bias"}:
            shape = None if weight is None else tuple(weight.shape)
            raise WeightsRefused(
                f"its head has {ascii(room)[1:-1][:60] or 'a layer'} of shape {shape}; only linear layers and batch "
                "normalisation are served there"
            )
    places = _positions(rooms, modules, inputs)
    layers = [_Layer(places[room], held, "running_mean" in held) for room, held in rooms.items()]
    return sorted(layers, key=lambda layer: layer.position)


def _positions(
    rooms: Mapping[str, Mapping[str, Tensor]], modules: Modules | None, inputs: Sequence[int]
) -> dict[str, Position]:
    if modules is not None:
        unknown = [room for room in rooms if room not in modules.paths]
        if unknown:
            raise WeightsRefused(f"its head has {ascii(unknown[0])[:60]}, which is in no Sequential")
        return {room: modules.paths[room] for room in rooms}
    if all(re.fullmatch(r"(\d{1,4}(\.\d{1,4}){0,7})?", room, re.ASCII) for room in rooms):
        return {room: tuple(map(int, room.split("."))) if room else () for room in rooms}
    return _by_size(rooms, inputs)


def _by_size(rooms: Mapping[str, Mapping[str, Tensor]], inputs: Sequence[int]) -> dict[str, Position]:
    """Layers with names of their own, `fc1` and `output`: what one gives only one other can take."""
    waiting = dict(rooms)
    found: dict[str, Position] = {}
    wanted = set(inputs)
    while waiting:
        fitting = [
            room
            for room, held in waiting.items()
            if "running_mean" not in held and held["weight"].shape[1] in wanted
        ]
        if len(fitting) != 1:
            names = ", ".join(ascii(room)[1:-1][:40] for room in list(rooms)[:4])
            raise WeightsRefused(
                f"its head has layers with names of their own ({names}), whose order a file does not say; "
                "save the whole model, torch.save(model, ...)"
            )
        found[fitting[0]] = (2 * len(found),)
        wanted = {waiting.pop(fitting[0])["weight"].shape[0]}
    return found


# --- what stands between -----------------------------------------------------------------------


def _gap(before: Position, after: Position) -> str | None:
    """A position between two layers that may hold a module without tensors; None where there is none."""
    shared = 0
    while before[shared] == after[shared]:
        shared += 1
    if after[shared] - before[shared] > 1:
        return _dotted((*before[:shared], before[shared] + 1))
    if len(before) > shared + 1:
        return _dotted((*before[:-1], before[-1] + 1))  # more may follow in the inner Sequential
    if any(after[shared + 1 :]):
        return _dotted((*after[:-1], 0))
    return None


def _is_fastai(layers: Sequence[_Layer]) -> bool:
    """Whether they are as its `LinBnDrop` makes them: batch normalisation, dropout, linear without bias, ReLU."""
    return layers[0].is_norm and all(
        layer.is_norm or (layers[index - 1].is_norm and "bias" not in layer.tensors)
        for index, layer in enumerate(layers)
        if index
    )


def _check_gaps(layers: Sequence[_Layer], answers: Answers) -> None:
    """One gap between two linear layers is a question; two, and no answer would say in which of them ReLU stands.

    Nor would it where a batch normalisation stands between them and no gap: a forward pass of the script's own may
    call ReLU before or behind it.

    Raises:
        WeightsRefused: so, or a gap behind a batch normalisation that comes first.
    """
    if answers.activation_at is not None:
        _check_positions(layers, answers.activation_at)
        return
    gaps, allowed = 0, 0
    for before, after in pairwise(layers):
        if not before.is_norm:
            gaps, allowed = 0, 1
        elif allowed and not gaps and not after.is_norm and _gap(before.position, after.position) is None:
            if answers.activation != "none":
                raise WeightsRefused(
                    f"its head has batch normalisation at {_dotted(before.position)} right between two linear layers; "
                    "where a ReLU stands a file of weights does not say: save the whole model, torch.save(model, ...), or "
                    "say --head-activation none where there is none"
                )
            answers.use("activation")
        gap = _gap(before.position, after.position)
        gaps += gap is not None
        if gaps > allowed and answers.activation != "none":
            raise WeightsRefused(
                f"its head has batch normalisation with gaps beside it, one at {gap}; in which of them ReLU stands a "
                f"file of weights does not say: --head-activation {gap} where it stands there alone (several with commas "
                "between), --head-activation none where there is none, or save the whole model, torch.save(model, ...)"
            )


def _check_positions(layers: Sequence[_Layer], named: Sequence[Position]) -> None:
    """Raises WeightsRefused where a position that was named is not free between two layers."""
    taken = [layer.position for layer in layers]
    for position in named:
        if position in taken or not taken[0] < position < taken[-1]:
            raise WeightsRefused(
                f"--head-activation {_dotted(position)}: no free position between its layers, which stand at "
                f"{', '.join(map(_dotted, taken))}"
            )


def _is_active(
    before: _Layer, after: _Layer, answers: Answers, modules: Modules | None, *, knows_order: bool
) -> bool | Question:
    """Whether a ReLU stands between two layers that follow one another."""
    if modules is not None:
        kinds = modules.between(before.position, after.position)
        others = [kind for kind in kinds if kind not in PASSIVE | {"ReLU"}]
        if others:
            raise WeightsRefused(
                f"its head has {', '.join(others)} between its layers; only ReLU can be served"
            )
        return "ReLU" in kinds
    gap = _gap(before.position, after.position)
    if gap is None and (before.is_norm or after.is_norm):
        return False
    if knows_order:
        return not before.is_norm  # behind a normalisation it is the dropout
    if answers.activation_at is not None:
        answers.use("activation_at")
        return any(before.position < position < after.position for position in answers.activation_at)
    if answers.activation is not None:
        answers.use("activation")
        return answers.activation == "relu"
    # Without a gap too: layers in a ModuleList are called by a forward pass that may hold anything.
    place = f"at position {gap}" if gap else f"before position {_dotted(after.position)}"
    return Question(
        f"what stands {place} of the head, between its linear layers (a file of weights does not say)",
        "--head-activation relu, or --head-activation none for dropout alone; what has another activation is not served",
    )


def _check_ends(modules: Modules, layers: Sequence[_Layer], *, is_positive: bool) -> None:
    """What stands before the first layer and after the last must change no prediction."""
    first, last = layers[0], layers[-1]
    for kind in modules.between(None, first.position):
        if kind not in PASSIVE | {CONCAT_POOL} and not (kind == "ReLU" and is_positive):
            raise WeightsRefused(f"its head has {kind} before its first layer; no head kind computes that")
    harmless = AT_END | {"Sigmoid"} if len(last.tensors["weight"]) == 1 and not last.is_norm else AT_END
    for kind in modules.between(last.position, None):
        if kind not in harmless:
            raise WeightsRefused(f"its head has {kind} behind its last layer; no head kind computes that")
