"""The trunks that can be served, by name: ResNets here, the other families in files of their own.

name -> Architecture (`architecture.py` says what that is)
"""

import difflib
from collections.abc import Callable, Mapping
from types import MappingProxyType

from torch import Tensor, nn
from torchvision.models import resnet

from app.errors import ManifestInvalid
from app.nets.architecture import Architecture
from app.nets.cifar_resnet import STAGE_CHANNELS, CifarResNetTrunk
from app.nets.resnet_v1 import resnet_v1
from app.nets.timm_zoo import TIMM
from app.nets.torchvision_zoo import TORCHVISION

__all__ = ["ARCHITECTURES", "Architecture", "architecture_names", "get_architecture"]


class ResNetTrunk(nn.Module):
    """A torchvision ResNet up to layer4: its modules, its names, without pooling and fc."""

    def __init__(self, network: resnet.ResNet) -> None:
        super().__init__()
        self.conv1 = network.conv1
        self.bn1 = network.bn1
        self.relu = network.relu
        self.maxpool = network.maxpool
        self.layer1 = network.layer1
        self.layer2 = network.layer2
        self.layer3 = network.layer3
        self.layer4 = network.layer4

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) normalised -> (B, C, h/32, w/32)."""
        out = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        features: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(out))))
        return features


def _torchvision(
    name: str,
    family: str,
    channels: int,
    build: Callable[..., resnet.ResNet],
    summary: str,
    sign: tuple[str, int] = ("conv1.weight", 64),
) -> Architecture:
    return Architecture(
        name=name,
        family=family,
        # num_classes=1: torchvision always makes an fc, and here it is thrown away.
        build_trunk=lambda: ResNetTrunk(build(weights=None, num_classes=1)),
        feature_channels=channels,
        target_layer="layer4",
        stride=32,
        summary=summary,
        sign=sign,
    )


def _keras(name: str, build: Callable[..., resnet.ResNet], summary: str) -> Architecture:
    return Architecture(
        name=name,
        family="resnet_v1",
        build_trunk=lambda: ResNetTrunk(resnet_v1(build)),
        feature_channels=2048,
        target_layer="layer4",
        stride=32,
        summary=summary,
    )


_ALL = (
    _torchvision("resnet18", "resnet", 512, resnet.resnet18, "ResNet-18: basic blocks, 11 M weights"),
    _torchvision("resnet34", "resnet", 512, resnet.resnet34, "ResNet-34: basic blocks, 21 M weights"),
    _torchvision(
        "resnet50", "resnet", 2048, resnet.resnet50, "ResNet-50 v1.5 (stride in the 3x3), 24 M weights"
    ),
    _torchvision(
        "resnet101", "resnet", 2048, resnet.resnet101, "ResNet-101 v1.5 (stride in the 3x3), 43 M weights"
    ),
    _torchvision(
        "resnet152", "resnet", 2048, resnet.resnet152, "ResNet-152 v1.5 (stride in the 3x3), 58 M weights"
    ),
    _torchvision(
        "resnext50_32x4d", "resnext", 2048, resnet.resnext50_32x4d, "ResNeXt-50, 32 groups of 4, 23 M weights"
    ),
    _torchvision(
        "resnext101_32x8d",
        "resnext",
        2048,
        resnet.resnext101_32x8d,
        "ResNeXt-101, 32 groups of 8, 87 M weights",
    ),
    _torchvision(
        "resnext101_64x4d",
        "resnext",
        2048,
        resnet.resnext101_64x4d,
        "ResNeXt-101, 64 groups of 4, 81 M weights",
    ),
    _torchvision(
        "wide_resnet50_2",
        "wide_resnet",
        2048,
        resnet.wide_resnet50_2,
        "Wide ResNet-50, inner width doubled, 67 M weights",
    ),
    _torchvision(
        "wide_resnet101_2",
        "wide_resnet",
        2048,
        resnet.wide_resnet101_2,
        "Wide ResNet-101, inner width doubled, 125 M weights",
    ),
    _keras("resnet50_v1", resnet.resnet50, "ResNet-50 of Keras (stride in the first 1x1), 24 M weights"),
    _keras("resnet101_v1", resnet.resnet101, "ResNet-101 of Keras (stride in the first 1x1), 43 M weights"),
    _keras("resnet152_v1", resnet.resnet152, "ResNet-152 of Keras (stride in the first 1x1), 58 M weights"),
    Architecture(
        name="cifar_resnet14",
        family="cifar_resnet",
        build_trunk=CifarResNetTrunk,
        feature_channels=STAGE_CHANNELS[-1],
        target_layer="layer3",
        stride=4,
        summary="ResNet-14 for small images (16, 32, 64 channels), 0.17 M weights",
        sign=("conv1.weight", 16),
    ),
    *TORCHVISION,
    *TIMM,
)

ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType({each.name: each for each in _ALL})
"""By name, small to large within a family."""


def architecture_names() -> tuple[str, ...]:
    """Every name that `get_architecture` takes, in the order they are shown."""
    return tuple(ARCHITECTURES)


def get_architecture(name: str) -> Architecture:
    """The architecture of this name.

    Raises:
        ManifestInvalid: there is none; the message names the nearest.
    """
    found = ARCHITECTURES.get(name)
    if found is not None:
        return found
    near = difflib.get_close_matches(name.strip().lower().replace("-", "_"), ARCHITECTURES, n=3, cutoff=0.5)
    names = near or list(ARCHITECTURES)
    nearest = "the nearest known: " if near else "known: "
    raise ManifestInvalid(f"unknown architecture {name[:80]!r}; {nearest}{', '.join(names)}")
