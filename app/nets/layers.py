"""Which layers of a trunk can be looked at, by name, and how to run a trunk from one to the next.

A trunk's children, and those of a `Sequential` among them, are run one after another: a chain. Cutting it
after a layer gives that layer's output without a hook and without a copy of the network, so that many
threads may do it. Offered are the last layers of the last four resolutions: stages, as papers count them.
Knows no heads and no weights.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

from torch import Tensor, nn

_STAGES = ("layer1", "layer2", "layer3")
_EFFICIENTNET = ("features.2", "features.3", "features.5")
_DENSENET = ("features.denseblock1", "features.denseblock2", "features.denseblock3")
_MNASNET = ("layers.8", "layers.9", "layers.11")

EARLIER_LAYERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "resnet": _STAGES,
        "resnext": _STAGES,
        "wide_resnet": _STAGES,
        "resnet_v1": _STAGES,
        "senet": _STAGES,
        "cifar_resnet": ("layer1", "layer2"),
        "alexnet": ("features.1", "features.4", "features.11"),
        "vgg11": ("features.9", "features.14", "features.19"),
        "vgg11_bn": ("features.13", "features.20", "features.27"),
        "vgg13": ("features.13", "features.18", "features.23"),
        "vgg13_bn": ("features.19", "features.26", "features.33"),
        "vgg16": ("features.15", "features.22", "features.29"),
        "vgg16_bn": ("features.22", "features.32", "features.42"),
        "vgg19": ("features.17", "features.26", "features.35"),
        "vgg19_bn": ("features.25", "features.38", "features.51"),
        "squeezenet1_0": ("features.1", "features.5", "features.10"),
        "squeezenet1_1": ("features.1", "features.4", "features.7"),
        "densenet": _DENSENET,
        "inception": ("Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e"),
        "googlenet": ("conv3", "inception3b", "inception4e"),
        "shufflenet_v2": ("maxpool", "stage2", "stage3"),
        "mobilenet_v2": ("features.3", "features.6", "features.13"),
        "mobilenet_v3_small": ("features.1", "features.3", "features.8"),
        "mobilenet_v3_large": ("features.3", "features.6", "features.12"),
        "mnasnet": _MNASNET,
        "efficientnet": _EFFICIENTNET,
        "convnext": ("features.1", "features.3", "features.5"),
        "legacy_xception": ("block1", "block2", "block11"),
        "xception41": ("blocks.0", "blocks.1", "blocks.10"),
        "xception65": ("blocks.0", "blocks.1", "blocks.18"),
        "xception71": ("blocks.1", "blocks.3", "blocks.20"),
    }
)
"""By architecture, or else by family; the trunk's end, which every architecture has, is not repeated. Dual path
networks have no others: between their blocks two tensors run side by side."""


def earlier_layers(name: str, family: str) -> tuple[str, ...]:
    """Before the trunk's last, from the picture on; empty where there are none to be had."""
    return EARLIER_LAYERS.get(name) or EARLIER_LAYERS.get(family, ())


def links(trunk: nn.Module, inside: Collection[str] = ()) -> Iterator[tuple[str, nn.Module]]:
    """The trunk's chain under its modules' names; a child that holds one of `inside` is taken apart."""
    for name, child in trunk.named_children():
        if any(layer.startswith(f"{name}.") for layer in inside):
            yield from ((f"{name}.{inner}", module) for inner, module in child.named_children())
        else:
            yield name, child


def segments(trunk: nn.Module, layers: Sequence[str]) -> list[tuple[str | None, list[nn.Module]]]:
    """The chain, cut after each of these layers.

    Returns:
        layer -> the modules that lead from the one before to it; None for those that end the trunk.

    Raises:
        LookupError: a layer that is no link of the chain.
    """
    cut: list[tuple[str | None, list[nn.Module]]] = []
    modules: list[nn.Module] = []
    for name, module in links(trunk, layers):
        modules.append(module)
        if name in layers:
            cut.append((name, modules))
            modules = []
    missing = set(layers) - {name for name, _ in cut}
    if missing:
        raise LookupError(f"no layers {sorted(missing)} in this trunk")
    return [*cut, (None, modules)]


def run_chain(modules: Sequence[nn.Module], values: Tensor) -> Tensor:
    """One module after another."""
    for module in modules:
        values = module(values)
    return values
