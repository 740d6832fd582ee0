"""Families that torchvision lacks, from timm (the extra `zoo`), under timm's own names.

timm is imported when the first of them is built, and never to list them. Each trunk is timm's network made
without pooling and classifier, which timm offers itself.
"""

from collections.abc import Callable

from torch import nn

from app.errors import ManifestInvalid
from app.nets.architecture import HALVE_UP, HALVINGS, Architecture, OwnForm, Window
from app.nets.heads import PointwiseAverage
from app.nets.naming import FC, HeadPlace

LAST_LINEAR = HeadPlace(root="last_linear", linear="last_linear")
HEAD_FC = HeadPlace(root="head.fc", linear="head.fc")
CLASSIFIER_CONVOLUTION = HeadPlace("classifier", "classifier", (("conv", "classifier"),))

LEGACY_WINDOWS = (HALVE_UP, Window(3, 2, rounds_up=True), HALVE_UP, HALVE_UP, HALVE_UP)
"""The pooling of the stem has no padding and rounds up."""
XCEPTION_WINDOWS = (Window(3, 2), Window(3), HALVE_UP, HALVE_UP, HALVE_UP, HALVE_UP)
"""Two convolutions without padding first."""


def _trunk(name: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        try:
            import timm  # noqa: PLC0415 - half a second and an extra; few models need it
        except ImportError as error:
            raise ManifestInvalid(
                f"{name} is one of timm's networks, and timm is not installed: pip install lineside[zoo]"
            ) from error
        network: nn.Module = timm.create_model(name, pretrained=False, num_classes=0, global_pool="")
        return network

    return build


def _timm(
    name: str,
    family: str,
    channels: int,
    target_layer: str,
    place: HeadPlace,
    sign: tuple[str, int],
    summary: str,
    *,
    windows: tuple[Window, ...] = HALVINGS[32],
    own_head: OwnForm | None = None,
) -> Architecture:
    return Architecture(
        name=name,
        family=family,
        build_trunk=_trunk(name),
        feature_channels=channels,
        target_layer=target_layer,
        stride=32,
        summary=summary,
        windows=windows,
        place=place,
        own_head=own_head,
        sign=sign,
        extra="zoo",
    )


def _se_resnet(name: str, blocks: int, summary: str) -> Architecture:
    """Squeeze and excitation in a ResNet: timm's later code, or the one of the paper's authors.

    Args:
        name: as timm knows it.
        blocks: of layer3, by which depths differ.
        summary: what it is.
    """
    legacy = name.startswith("legacy_")
    return _timm(
        name,
        "senet",
        2048,
        "layer4",
        LAST_LINEAR if legacy else FC,
        (f"layer3.{blocks - 1}.{'se_module' if legacy else 'se'}.fc1.weight", 64),
        summary,
        windows=LEGACY_WINDOWS if legacy else HALVINGS[32],
    )


def _dpn(depth: int, channels: int, stem_channels: int, weights: str) -> Architecture:
    own = OwnForm(lambda count: PointwiseAverage(channels, count, relu=False), "exact", "features")
    return _timm(
        f"dpn{depth}",
        "dpn",
        channels,
        "features",
        CLASSIFIER_CONVOLUTION,
        ("features.conv1_1.conv.weight", stem_channels),
        f"Dual path network {depth}, {weights} M weights",
        own_head=own,
    )


def _xception(blocks: int, weights: str) -> Architecture:
    summary = f"Xception of {blocks} layers, aligned (DeepLab's), {weights} M weights"
    sign = ("stem.0.conv.weight", 32)
    return _timm(f"xception{blocks}", "xception", 2048, "blocks", HEAD_FC, sign, summary)


TIMM: tuple[Architecture, ...] = (
    _se_resnet("legacy_senet154", 36, "SENet-154, its authors' form (`last_linear`), 113 M weights"),
    _se_resnet("legacy_seresnet50", 6, "SE-ResNet-50, its authors' form (`last_linear`), 26 M weights"),
    _se_resnet("legacy_seresnet101", 23, "SE-ResNet-101, its authors' form (`last_linear`), 47 M weights"),
    _se_resnet("legacy_seresnet152", 36, "SE-ResNet-152, its authors' form (`last_linear`), 65 M weights"),
    _se_resnet(
        "legacy_seresnext50_32x4d", 6, "SE-ResNeXt-50, its authors' form (`last_linear`), 26 M weights"
    ),
    _se_resnet(
        "legacy_seresnext101_32x4d", 23, "SE-ResNeXt-101, its authors' form (`last_linear`), 47 M weights"
    ),
    _se_resnet("senet154", 36, "SENet-154, timm's ResNet form, 113 M weights"),
    _se_resnet("seresnet50", 6, "SE-ResNet-50, timm's ResNet form, 26 M weights"),
    _se_resnet("seresnet101", 23, "SE-ResNet-101, timm's ResNet form, 47 M weights"),
    _se_resnet("seresnet152", 36, "SE-ResNet-152, timm's ResNet form, 65 M weights"),
    _se_resnet("seresnext50_32x4d", 6, "SE-ResNeXt-50, timm's ResNet form, 26 M weights"),
    _se_resnet("seresnext101_32x4d", 23, "SE-ResNeXt-101, timm's ResNet form, 47 M weights"),
    _dpn(68, 832, 10, "12"),
    _dpn(92, 2688, 64, "35"),
    _dpn(98, 2688, 96, "59"),
    _timm(
        "legacy_xception",
        "xception",
        2048,
        "act4",
        FC,
        ("conv1.weight", 32),
        "Xception as its author published it, 21 M weights",
        windows=XCEPTION_WINDOWS,
    ),
    _xception(41, "25"),
    _xception(65, "38"),
    _xception(71, "40"),
)
