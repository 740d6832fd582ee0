"""Keras weights without a model -> the same, by the names that keras.applications gives.

stored arrays -> which ResNet its names are of -> pairs of its trunk, and a head told by shapes alone
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.checkpoints.keras_arrays import Arrays, convolution, dense
from app.checkpoints.keras_files import Stored, shown
from app.checkpoints.keras_graph import Layer
from app.checkpoints.keras_head import KerasHead, assembled
from app.checkpoints.keras_trunk import BLOCKS, Pair, canonical_names, refuse_other_bases
from app.errors import WeightsRefused

FEATURES = 2048


@dataclass(frozen=True, slots=True)
class NamedWeights:
    """A network told by its names."""

    architecture: str
    pairs: tuple[Pair, ...]
    arrays: Arrays
    head: KerasHead


def read_named_weights(everything: Sequence[Stored]) -> NamedWeights:
    """The network of these arrays.

    Raises:
        WeightsRefused: its names are not those of a known ResNet, or what else is there is no known head.
    """
    # The last group owns an array: what stands before it is a model around it, or a scope.
    stored = [Stored(each.groups[-1:], each.variable, each.array) for each in everything if each.groups]
    owners = {each.groups[0] for each in stored}
    refuse_other_bases(owners, ())
    if any(name.startswith("res2a_branch") for name in owners):
        raise WeightsRefused(
            "weights alone, under the names that ResNet50 had until Keras 2.2; its epsilon and padding depended on the "
            "version. Save the whole model, which says what they are"
        )
    fitting = [
        (architecture, blocks)
        for blocks, architecture in BLOCKS.items()
        if {name for names in canonical_names(blocks) for name in names[:2]} <= owners
    ]
    if not fitting:
        raise WeightsRefused(
            "weights alone, and not under the names of ResNet50, ResNet101 or ResNet152 of keras.applications. Save the "
            "whole model, which says what its layers are"
        )
    # The names of a larger network hold those of a smaller one.
    architecture, blocks = fitting[-1]
    names = tuple(canonical_names(blocks))
    in_trunk = {name for pair in names for name in pair[:2]}
    return NamedWeights(
        architecture=architecture,
        pairs=tuple(Pair(_layer(a, "Conv2D"), _layer(b, "BatchNormalization"), c, d) for a, b, c, d in names),
        arrays=Arrays(stored),
        head=_head([each for each in stored if each.groups[0] not in in_trunk]),
    )


def _head(stored: Sequence[Stored]) -> KerasHead:
    arrays = Arrays(stored)
    owners = {each.groups[0]: each.array for each in stored if each.variable in {"kernel", "0"}}
    biased = {each.groups[0] for each in stored if each.variable in {"bias", "1"}}
    others = sorted(
        {
            f"{each.groups[0]}/{each.variable}"
            for each in stored
            if each.variable not in {"kernel", "bias", "0", "1"}
        }
    )
    if others:
        raise WeightsRefused(
            f"weights alone, with more than a known head: {', '.join(map(shown, others[:5]))}"
        )
    kernel = None
    width = FEATURES
    for name in [name for name, array in owners.items() if array.ndim == 4]:
        if kernel is not None:
            raise WeightsRefused("weights alone, with several convolutions behind the ResNet")
        kernel = convolution(arrays, _layer(name, "Conv2D", use_bias=name in biased))
        width = len(kernel[0])
        del owners[name]
    layers = []
    while owners:
        nexts = [name for name, array in owners.items() if array.ndim == 2 and array.shape[0] == width]
        if len(nexts) != 1:
            found = ", ".join(f"{shown(name)} {array.shape}" for name, array in list(owners.items())[:5])
            raise WeightsRefused(
                f"weights alone, and which layer takes {width} features cannot be told from {found}. Save the whole model"
            )
        layers.append(dense(arrays, _layer(nexts[0], "Dense", use_bias=nexts[0] in biased)))
        width = len(layers[-1][0])
        del owners[nexts[0]]
    if not layers:
        raise WeightsRefused("a ResNet without a head (include_top=False); it has no classes")
    return assembled(kernel, layers)


def _layer(name: str, kind: str, **config: Any) -> Layer:
    return Layer((name,), (name,), kind, config, (), None)
