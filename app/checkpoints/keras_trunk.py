"""A Keras graph -> which of its layers is which of our ResNet's, told by structure, not by name.

Graph, the layer that feeds the network -> walk stem and blocks, every stride and padding checked
    -> Trunk: architecture, pairs of convolution and batch normalisation with our names

Weights alone have no graph: there the names that keras.applications gives stand in for it, and strides
and epsilon are taken on trust, which the caller has to say.

Source: keras.applications.resnet (ResNet50, ResNet101, ResNet152).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from app.checkpoints.keras_files import shown
from app.checkpoints.keras_graph import Graph, Layer, activation
from app.errors import WeightsRefused

BLOCKS: Final[dict[tuple[int, ...], str]] = {
    (3, 4, 6, 3): "resnet50_v1",
    (3, 4, 23, 3): "resnet101_v1",
    (3, 8, 36, 3): "resnet152_v1",
}
REFUSED_BASES: Final[tuple[tuple[str, str | None, tuple[str, ...], str], ...]] = (
    (
        "MobileNetV2",
        "DepthwiseConv2D",
        ("expanded_conv", "Conv1_relu"),
        "its convolutions of stride 2 pad on the right and at the bottom only, torchvision's mobilenet_v2 on all sides",
    ),
    (
        "Xception",
        "SeparableConv2D",
        ("block14_sepconv", "block1_conv1_act"),
        "no torchvision network has its separable convolutions, whose 'same' padding and pooling fall on one side",
    ),
    (
        "EfficientNet",
        "DepthwiseConv2D",
        ("stem_conv", "top_conv", "block1a_"),
        "its convolutions of stride 2 pad on the right and at the bottom only, torchvision's efficientnet on all sides, "
        "and its graph normalises by ImageNet's mean",
    ),
    (
        "ResNetV2",
        None,
        ("conv2_block1_preact_bn", "post_bn"),
        "it normalises before each convolution and not after it",
    ),
)
"""Base, a kind of layer and beginnings of names that tell it, what differs: the same shapes with other paddings would answer wrongly."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A convolution, the batch normalisation behind it, and their names in our trunk."""

    convolution: Layer
    normalisation: Layer
    our_convolution: str
    our_normalisation: str


@dataclass(frozen=True, slots=True)
class Trunk:
    """A ResNet found in a graph."""

    architecture: str
    pairs: tuple[Pair, ...]
    output: str
    """Id of its last ReLU."""


def refuse_other_bases(names: Collection[str], kinds: Collection[str]) -> None:
    """Name the network where it is one that people fine-tune and that cannot be converted exactly.

    Raises:
        WeightsRefused: it is one of these.
    """
    for base, kind, beginnings, difference in REFUSED_BASES:
        is_possible = not kinds or kind is None or kind in kinds
        if is_possible and any(name.startswith(beginnings) for name in names):
            raise WeightsRefused(
                f"its base is {base}, which is not converted: {difference}. "
                "ResNet50, ResNet101 and ResNet152 of keras.applications are"
            )


def find_trunk(graph: Graph, start: str) -> Trunk:
    """The ResNet that begins behind the layer `start`.

    Raises:
        WeightsRefused: it is none; the message names the first layer that differs.
    """
    pad = _next(graph, start, "ZeroPadding2D", padding=[[3, 3], [3, 3]])
    stem = _next(graph, pad.id, "Conv2D", kernel_size=[7, 7], strides=[2, 2], padding="valid")
    norm = _next(graph, stem.id, "BatchNormalization")
    relu = _relu(graph, norm.id)
    pad = _next(graph, relu.id, "ZeroPadding2D", padding=[[1, 1], [1, 1]])
    at = _next(graph, pad.id, "MaxPooling2D", pool_size=[3, 3], strides=[2, 2], padding="valid").id
    pairs = [Pair(stem, norm, "conv1", "bn1")]
    blocks: list[int] = []
    while True:
        fed = graph.after(at)
        if len(fed) != 2 or at == graph.output:
            break
        projects = all(layer.kind == "Conv2D" for layer in fed)
        if projects:
            blocks.append(0)
        if not blocks:
            raise WeightsRefused(f"its first block has no convolution in its shortcut, at {shown(at)!r}")
        stride = 2 if projects and len(blocks) > 1 else 1
        block, at = _block(graph, at, f"layer{len(blocks)}.{blocks[-1]}", stride, projects=projects)
        pairs += block
        blocks[-1] += 1
    architecture = BLOCKS.get(tuple(blocks))
    if architecture is None:
        raise WeightsRefused(
            f"a residual network of {blocks} blocks; known are {', '.join(str(list(known)) for known in BLOCKS)}"
        )
    return Trunk(architecture, tuple(pairs), at)


def _block(graph: Graph, start: str, ours: str, stride: int, *, projects: bool) -> tuple[list[Pair], str]:
    """One bottleneck block: its pairs, and the id of the ReLU that ends it."""
    shortcut: tuple[Layer, Layer] | None = None
    first: Layer | None = None
    for layer in graph.after(start):
        if layer.kind != "Conv2D":
            continue
        norm = _next(graph, layer.id, "BatchNormalization")
        if projects and [after.kind for after in graph.after(norm.id)] == ["Add"]:
            shortcut = (layer, norm)
        else:
            first = layer
    if first is None or (projects and shortcut is None):
        raise WeightsRefused(f"the block behind {shown(start)!r} is not one of a ResNet")
    pairs: list[Pair] = []
    at = start
    for number, (kernel, step) in enumerate(((1, stride), (3, 1), (1, 1)), start=1):
        layer = first if number == 1 else _next(graph, at, "Conv2D")
        _expect(
            layer, kernel_size=[kernel, kernel], strides=[step, step], padding="same" if kernel == 3 else None
        )
        norm = _next(graph, layer.id, "BatchNormalization")
        pairs.append(Pair(layer, norm, f"{ours}.conv{number}", f"{ours}.bn{number}"))
        at = norm.id if number == 3 else _relu(graph, norm.id).id
    total = _next(graph, at, "Add")
    expected = {at, start if shortcut is None else shortcut[1].id}
    if set(total.inputs) != expected or len(total.inputs) != 2:
        raise WeightsRefused(f"{total.words} does not add the block behind {shown(start)!r} to its shortcut")
    if shortcut is not None:
        _expect(shortcut[0], kernel_size=[1, 1], strides=[stride, stride])
        pairs.append(Pair(*shortcut, f"{ours}.downsample.0", f"{ours}.downsample.1"))
    return pairs, _relu(graph, total.id).id


def _next(graph: Graph, at: str, kind: str, **expected: Any) -> Layer:
    layer = graph.next(at)
    if layer is None or layer.kind != kind:
        found = "the end of the network" if layer is None else layer.words
        raise WeightsRefused(f"behind {shown(at)!r} a ResNet of Keras has {kind}, this network {found}")
    _expect(layer, **expected)
    return layer


def _relu(graph: Graph, at: str) -> Layer:
    layer = graph.next(at)
    if layer is None or not is_relu(layer):
        found = "the end of the network" if layer is None else layer.words
        raise WeightsRefused(f"behind {shown(at)!r} a ResNet of Keras has a ReLU, this network {found}")
    return layer


def is_relu(layer: Layer) -> bool:
    """Whether it is the plain ReLU, as an activation or as a layer."""
    if layer.kind == "ReLU":
        limits = [layer.config.get(name) for name in ("max_value", "negative_slope", "threshold")]
        return not any(limits)
    return layer.kind == "Activation" and activation(layer.config) == "relu"


def _expect(layer: Layer, **expected: Any) -> None:
    """Settings that decide the answer are as in keras.applications; None means that any will do."""
    always: dict[str, Any] = {"data_format": "channels_last"}
    if layer.kind == "Conv2D":
        always |= {"dilation_rate": [1, 1], "groups": 1, "activation": "linear"}
    for name, wanted in (always | expected).items():
        value = activation(layer.config) if name == "activation" else layer.config.get(name, wanted)
        if wanted is not None and plain(value) != wanted and (value is not None or name != "data_format"):
            raise WeightsRefused(
                f"{layer.words} has {name} = {shown(str(value))}, a ResNet of Keras {wanted}; converted, it would "
                "answer otherwise"
            )


def plain(value: Any) -> Any:
    """Tuples as lists, and 3 as it is."""
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def canonical_names(blocks: tuple[int, ...]) -> Iterator[tuple[str, str, str, str]]:
    """For keras.applications' names: convolution, batch normalisation, and ours of both."""
    yield "conv1_conv", "conv1_bn", "conv1", "bn1"
    for stage, count in enumerate(blocks, start=1):
        for block in range(count):
            theirs, ours = f"conv{stage + 1}_block{block + 1}", f"layer{stage}.{block}"
            for at in (1, 2, 3):
                yield f"{theirs}_{at}_conv", f"{theirs}_{at}_bn", f"{ours}.conv{at}", f"{ours}.bn{at}"
            if block == 0:
                yield f"{theirs}_0_conv", f"{theirs}_0_bn", f"{ours}.downsample.0", f"{ours}.downsample.1"
