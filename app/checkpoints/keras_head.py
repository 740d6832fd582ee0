"""What a Keras graph does behind its ResNet -> one of our heads, and its tensors.

    GlobalAveragePooling2D -> Dense                            linear
    GlobalAveragePooling2D -> Dense (ReLU) ... -> Dense        mlp
    Conv2D (valid, ReLU) -> GlobalAveragePooling2D -> Dense    conv_cam

Dropouts were taken out before. A softmax at the end is ours to apply. One output with a sigmoid becomes two
classes whose logits are minus and plus half of it: softmax of these is exactly the sigmoid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from app.checkpoints.keras_arrays import Arrays, convolution, dense
from app.checkpoints.keras_graph import Graph, Layer, activation
from app.checkpoints.keras_trunk import is_relu, plain
from app.domain import ConvCamHead, HeadSpec, LinearHead, MlpHead
from app.errors import WeightsRefused

KNOWN: Final = (
    "known heads: GlobalAveragePooling2D and Dense layers with ReLU between, or Conv2D (valid padding, ReLU), "
    "GlobalAveragePooling2D and Dense"
)


@dataclass(frozen=True, slots=True)
class KerasHead:
    """A head as we serve it."""

    spec: HeadSpec
    class_count: int
    tensors: dict[str, Tensor]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def find_head(graph: Graph, start: str, arrays: Arrays) -> KerasHead:
    """The head behind the layer `start`, to the output of the graph.

    Raises:
        WeightsRefused: none, or one that is not known here; the message names the layer.
    """
    chain = _chain(graph, start)
    if not chain:
        raise WeightsRefused(
            "a ResNet without a head (include_top=False); it has no classes. Save the model that was trained, whole"
        )
    kernel: tuple[Tensor, Tensor | None] | None = None
    if chain[0].kind == "Conv2D":
        convolved = chain.pop(0)
        _check_convolution(convolved)
        kernel = convolution(arrays, convolved)
        if activation(convolved.config) == "linear":
            if not chain or not is_relu(chain[0]):
                raise WeightsRefused(f"{convolved.words} in the head has no ReLU behind it; {KNOWN}")
            chain.pop(0)
        elif activation(convolved.config) != "relu":
            raise WeightsRefused(
                f"{convolved.words} in the head has {activation(convolved.config)}, not ReLU; {KNOWN}"
            )
    _check_pooling(chain)
    *hidden, last = _dense_layers(chain[1:], arrays)
    if last.activation not in {"softmax", "linear", "sigmoid"}:
        raise WeightsRefused(f"the last layer has {last.activation}; known are softmax, sigmoid and none")
    if last.activation == "sigmoid" and len(last.weight) > 1:
        raise WeightsRefused(
            f"{len(last.weight)} outputs with a sigmoid each: classes that do not exclude one another are not served"
        )
    odd = [layer for layer in hidden if layer.activation != "relu"]
    if odd:
        raise WeightsRefused(f"a hidden Dense layer with {odd[0].activation}, not ReLU; {KNOWN}")
    warnings: tuple[str, ...] = ()
    if last.activation == "linear":
        outputs = "a sigmoid" if len(last.weight) == 1 else "a softmax"
        warnings = (f"the last layer has no activation; its outputs are taken as logits of {outputs}",)
    return assembled(kernel, [(each.weight, each.bias) for each in (*hidden, last)], warnings)


def assembled(
    kernel: tuple[Tensor, Tensor | None] | None,
    layers: Sequence[tuple[Tensor, Tensor]],
    warnings: tuple[str, ...] = (),
) -> KerasHead:
    """The head of these layers, under our names.

    Raises:
        WeightsRefused: a convolution before hidden layers.
    """
    notes: tuple[str, ...] = ()
    *hidden, (weight, bias) = layers
    if len(weight) == 1:
        weight, bias = torch.cat([-weight / 2, weight / 2]), torch.cat([-bias / 2, bias / 2])
        notes = (
            "one output became two classes: 0 is what the sigmoid calls below 0.5, 1 above; logits are halved",
        )
    tensors = {"weight": weight, "bias": bias}
    if kernel is not None:
        if hidden:
            raise WeightsRefused(f"hidden Dense layers behind a convolution in the head; {KNOWN}")
        filters, offset = kernel
        if filters.shape[2] != filters.shape[3]:
            raise WeightsRefused(
                f"a head's convolution of {filters.shape[2]} x {filters.shape[3]}; only squares are known"
            )
        named = {
            "fc.conv.weight": filters,
            "fc.conv.bias": torch.zeros(len(filters)) if offset is None else offset,
            **{f"fc.linear.{name}": tensor for name, tensor in tensors.items()},
        }
        spec = ConvCamHead(kernel_size=filters.shape[2], channels=len(filters))
        return KerasHead(spec, len(weight), named, notes, warnings)
    if not hidden:
        named = {f"fc.{name}": tensor for name, tensor in tensors.items()}
        return KerasHead(LinearHead(), len(weight), named, notes, warnings)
    named = {}
    for at, (matrix, offset) in enumerate((*hidden, (weight, bias))):
        named |= {f"fc.{2 * at}.weight": matrix, f"fc.{2 * at}.bias": offset}
    widths = tuple(len(matrix) for matrix, _ in hidden)
    return KerasHead(MlpHead(widths), len(weight), named, notes, warnings)


@dataclass(slots=True)
class _Dense:
    weight: Tensor
    bias: Tensor
    activation: str


def _chain(graph: Graph, start: str) -> list[Layer]:
    chain: list[Layer] = []
    layer = graph.next(start)
    while layer is not None:
        if len(layer.inputs) != 1:
            raise WeightsRefused(f"{layer.words} in the head joins {len(layer.inputs)} inputs; {KNOWN}")
        chain.append(layer)
        layer = graph.next(layer.id)
    if (chain[-1].id if chain else start) != graph.output:
        raise WeightsRefused("the model's output is not the end of its layers")
    return chain


def _check_convolution(layer: Layer) -> None:
    config = layer.config
    if config.get("padding") != "valid":
        raise WeightsRefused(
            f"{layer.words} in the head has padding = 'same'; a conv_cam head has none, so its map would differ at the edges"
        )
    plainly = {"strides": [1, 1], "dilation_rate": [1, 1], "groups": 1, "data_format": "channels_last"}
    for name, wanted in plainly.items():
        if plain(config.get(name, wanted)) != wanted:
            raise WeightsRefused(f"{layer.words} in the head has {name} = {config[name]}; known is {wanted}")


def _check_pooling(chain: Sequence[Layer]) -> None:
    if not chain:
        raise WeightsRefused(f"a head that ends before its pooling; {KNOWN}")
    pool = chain[0]
    if pool.kind == "Flatten":
        raise WeightsRefused(
            f"{pool.words}: a head on flattened features has weights of its own for every cell, so no class activation "
            f"map adds up to its answer; it is not served. {KNOWN}"
        )
    if pool.kind != "GlobalAveragePooling2D":
        raise WeightsRefused(f"{pool.words} behind the ResNet; {KNOWN}")
    if pool.config.get("data_format") not in {None, "channels_last"}:
        raise WeightsRefused(f"{pool.words} has its channels first; known is channels_last")
    if pool.config.get("keepdims") and not (len(chain) > 1 and chain[1].kind == "Flatten"):
        raise WeightsRefused(f"{pool.words} has keepdims = True; {KNOWN}")


def _dense_layers(chain: Sequence[Layer], arrays: Arrays) -> list[_Dense]:
    found: list[_Dense] = []
    for layer in chain:
        if layer.kind == "Dense":
            found.append(_Dense(*dense(arrays, layer), activation(layer.config)))
        elif layer.kind in {"Activation", "ReLU", "Softmax"} and found and found[-1].activation == "linear":
            found[-1].activation = _separate(layer)
        elif layer.kind == "Flatten" and not found:
            continue  # pooled features are flat already
        else:
            raise WeightsRefused(f"{layer.words} in the head; {KNOWN}")
    if not found:
        raise WeightsRefused(f"no Dense layer behind the pooling; {KNOWN}")
    return found


def _separate(layer: Layer) -> str:
    """The activation of a layer that is nothing else."""
    if is_relu(layer):
        return "relu"
    if layer.kind == "Softmax" and layer.config.get("axis", -1) in {-1, 1}:
        return "softmax"
    return activation(layer.config) if layer.kind == "Activation" else layer.words
