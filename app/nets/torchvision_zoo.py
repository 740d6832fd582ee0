"""torchvision's families besides ResNet, under torchvision's own names.

Each trunk is torchvision's network without what follows its last convolutional stage: same modules, same
names. Two things that a state dict does not say, and that the manifest therefore must:

- Inception v3 and GoogLeNet begun from torchvision's pretrained weights have `transform_input = True`, which
  undoes the ImageNet normalisation and maps to -1..1: write mean = std = [0.5, 0.5, 0.5] for those.
- Their auxiliary classifiers (`AuxLogits.`, `aux1.`, `aux2.`) only help training; such tensors are dropped.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn
from torchvision import models

from app.nets.architecture import (
    HALVE_DOWN,
    HALVE_UP,
    Architecture,
    OwnForm,
    Window,
    modules_before,
)
from app.nets.heads import Head, NormalisedLinear, PointwiseAverage
from app.nets.mlp_heads import AverageMlp, FlattenMlp
from app.nets.naming import FC, HeadPlace

Build = Callable[..., nn.Module]

DROPOUT_THEN_LINEAR = HeadPlace(root="classifier", linear="classifier.1")
ONE_LINEAR = HeadPlace(root="classifier", linear="classifier")


def _trunk(name: str, end: str, **options: Any) -> Callable[[], nn.Module]:
    """The library's network of this name up to `end`; its own last layer, of one class, is thrown away."""
    return lambda: modules_before(models.get_model(name, weights=None, num_classes=1, **options), end)


# --- AlexNet and VGG: flatten, then three linear layers ----------------------------------------

FLAT_WIDTH = 4096
FLAT_PLACE = {
    "alexnet": HeadPlace(
        "classifier",
        "classifier",
        (("layers.0", "classifier.1"), ("layers.1", "classifier.4"), ("layers.2", "classifier.6")),
    ),
    "vgg": HeadPlace(
        "classifier",
        "classifier",
        (("layers.0", "classifier.0"), ("layers.1", "classifier.3"), ("layers.2", "classifier.6")),
    ),
}


def _flat(
    name: str, family: str, channels: int, cells: int, windows: tuple[Window, ...], summary: str
) -> Architecture:
    def head(class_count: int) -> Head:
        return FlattenMlp(channels, class_count, cells=cells, hidden=(FLAT_WIDTH, FLAT_WIDTH))

    return Architecture(
        name=name,
        family=family,
        build_trunk=_trunk(name, "avgpool"),
        feature_channels=channels,
        target_layer="features",
        stride=32,
        summary=summary,
        windows=windows,
        place=FLAT_PLACE[family],
        own_head=OwnForm(head, "gradient", "avgpool"),
        sign=("features.0.weight", 64),
    )


def _vgg(depth: int, weights: str) -> tuple[Architecture, Architecture]:
    plain = f"VGG-{depth}: {weights} M weights and 124 M in its head"
    return (
        _flat(f"vgg{depth}", "vgg", 512, 7, (HALVE_DOWN,) * 5, plain),
        _flat(f"vgg{depth}_bn", "vgg", 512, 7, (HALVE_DOWN,) * 5, f"{plain}; batch normalisation"),
    )


ALEXNET_WINDOWS = (Window(11, 4, 2), Window(3, 2), Window(3, 2), Window(3, 2))

# --- SqueezeNet: its last convolution gives the classes ----------------------------------------

POOL_UP = Window(3, 2, rounds_up=True)


def _squeezenet(version: str, stem: Window, stem_channels: int) -> Architecture:
    return Architecture(
        name=f"squeezenet{version}",
        family="squeezenet",
        build_trunk=_trunk(f"squeezenet{version}", "classifier"),
        feature_channels=512,
        target_layer="features",
        stride=16,
        summary=f"SqueezeNet {version.replace('_', '.')}: a convolution to the classes, 0.7 M weights",
        windows=(stem, POOL_UP, POOL_UP, POOL_UP),
        place=HeadPlace("classifier", "classifier", (("conv", "classifier.1"),)),
        own_head=OwnForm(lambda count: PointwiseAverage(512, count, relu=True), "exact", "classifier.2"),
        sign=("features.0.weight", stem_channels),
    )


# --- DenseNet: ReLU stands in its forward pass, not among its modules --------------------------


def _densenet(depth: int, channels: int, stem_channels: int, weights: str) -> Architecture:
    name = f"densenet{depth}"

    def trunk() -> nn.Module:
        features = models.get_model(name, weights=None, num_classes=1).features
        return nn.Sequential(OrderedDict(features=features, relu=nn.ReLU(inplace=True)))

    return Architecture(
        name=name,
        family="densenet",
        build_trunk=trunk,
        feature_channels=channels,
        target_layer="features",
        stride=32,
        summary=f"DenseNet-{depth}, {weights} M weights",
        windows=(HALVE_UP, HALVE_UP, HALVE_DOWN, HALVE_DOWN, HALVE_DOWN),
        place=ONE_LINEAR,
        sign=("features.conv0.weight", stem_channels),
    )


# --- Inception -------------------------------------------------------------------------------

INCEPTION_WINDOWS = (
    Window(3, 2),
    Window(3),
    Window(3, 2),  # Conv2d_2b_3x3 between them is padded
    Window(3),
    Window(3, 2),
    Window(3, 2),
    Window(3, 2),
)

# --- MobileNetV3: hard swish between its two linear layers -------------------------------------


def _mobilenet_v3(size: str, channels: int, hidden: int, weights: str) -> Architecture:
    def head(class_count: int) -> Head:
        return AverageMlp(channels, class_count, hidden=(hidden,), activation="hardswish")

    return Architecture(
        name=f"mobilenet_v3_{size}",
        family="mobilenet_v3",
        build_trunk=_trunk(f"mobilenet_v3_{size}", "avgpool"),
        feature_channels=channels,
        target_layer="features",
        stride=32,
        summary=f"MobileNetV3 {size}, {weights} M weights",
        place=HeadPlace(
            "classifier", "classifier", (("layers.0", "classifier.0"), ("layers.1", "classifier.3"))
        ),
        own_head=OwnForm(head, "gradient", "features"),
        sign=("features.0.0.weight", 16),
    )


# --- ConvNeXt: layer normalisation after the pooling -------------------------------------------


def _convnext(size: str, channels: int, weights: str) -> Architecture:
    return Architecture(
        name=f"convnext_{size}",
        family="convnext",
        build_trunk=_trunk(f"convnext_{size}", "avgpool"),
        feature_channels=channels,
        target_layer="features",
        stride=32,
        summary=f"ConvNeXt {size}, {weights} M weights",
        windows=(Window(4, 4), HALVE_DOWN, HALVE_DOWN, HALVE_DOWN),
        place=HeadPlace("classifier", "classifier", (("norm", "classifier.0"), ("linear", "classifier.2"))),
        own_head=OwnForm(
            lambda count: NormalisedLinear(channels, count, epsilon=1e-6), "gradient", "features"
        ),
        sign=("features.0.0.weight", channels // 8),
    )


# --- average pooling and one linear layer ------------------------------------------------------


def _pooled(
    name: str,
    family: str,
    channels: int,
    end: str,
    target_layer: str,
    place: HeadPlace,
    sign: tuple[str, int],
    summary: str,
    *,
    windows: tuple[Window, ...] = (),
    options: Mapping[str, Any] | None = None,
    training_only: tuple[str, ...] = (),
) -> Architecture:
    return Architecture(
        name=name,
        family=family,
        build_trunk=_trunk(name, end, **(options or {})),
        feature_channels=channels,
        target_layer=target_layer,
        stride=32,
        summary=summary,
        windows=windows,
        place=place,
        training_only=training_only,
        sign=sign,
    )


def _efficientnet(name: str, channels: int, stem: int, weights: str) -> Architecture:
    family, _, size = name.rpartition("_")
    return _pooled(
        name,
        "efficientnet",
        channels,
        "avgpool",
        "features",
        DROPOUT_THEN_LINEAR,
        ("features.0.0.weight", stem),
        f"EfficientNet{'V2' if family.endswith('v2') else ''}-{size.upper()}, {weights} M weights",
    )


def _mnasnet(width: str, stem: int, weights: str) -> Architecture:
    return _pooled(
        f"mnasnet{width}",
        "mnasnet",
        1280,
        "classifier",
        "layers",
        DROPOUT_THEN_LINEAR,
        ("layers.0.weight", stem),
        f"MNASNet of width {width.replace('_', '.')}, {weights} M weights",
    )


def _shufflenet(width: str, channels: int, weights: str) -> Architecture:
    return _pooled(
        f"shufflenet_v2_x{width}",
        "shufflenet_v2",
        channels,
        "fc",
        "conv5",
        FC,
        ("conv1.0.weight", 24),
        f"ShuffleNetV2 of width {width.replace('_', '.')}, {weights} M weights",
    )


TORCHVISION: tuple[Architecture, ...] = (
    _flat(
        "alexnet",
        "alexnet",
        256,
        6,
        ALEXNET_WINDOWS,
        "AlexNet, torchvision's single column: 2.5 M weights and 55 M in its head",
    ),
    *_vgg(11, "9"),
    *_vgg(13, "9"),
    *_vgg(16, "15"),
    *_vgg(19, "20"),
    _squeezenet("1_0", Window(7, 2), 96),
    _squeezenet("1_1", Window(3, 2), 64),
    _densenet(121, 1024, 64, "7"),
    _densenet(161, 2208, 96, "26"),
    _densenet(169, 1664, 64, "12"),
    _densenet(201, 1920, 64, "18"),
    _pooled(
        "inception_v3",
        "inception",
        2048,
        "avgpool",
        "Mixed_7c",
        FC,
        ("Conv2d_1a_3x3.conv.weight", 32),
        "Inception v3 without its auxiliary classifier, 22 M weights",
        windows=INCEPTION_WINDOWS,
        options={"aux_logits": False, "init_weights": False},
        training_only=("AuxLogits.",),
    ),
    _pooled(
        "googlenet",
        "googlenet",
        1024,
        "avgpool",
        "inception5b",
        FC,
        ("conv1.conv.weight", 64),
        "GoogLeNet without its auxiliary classifiers, 5.6 M weights",
        windows=(HALVE_UP, POOL_UP, POOL_UP, POOL_UP, Window(2, 2, rounds_up=True)),
        options={"aux_logits": False, "init_weights": False},
        training_only=("aux1.", "aux2."),
    ),
    _shufflenet("0_5", 1024, "0.3"),
    _shufflenet("1_0", 1024, "1.3"),
    _shufflenet("1_5", 1024, "2.5"),
    _shufflenet("2_0", 2048, "5.3"),
    _pooled(
        "mobilenet_v2",
        "mobilenet_v2",
        1280,
        "classifier",
        "features",
        DROPOUT_THEN_LINEAR,
        ("features.0.0.weight", 32),
        "MobileNetV2, 2.2 M weights",
    ),
    _mobilenet_v3("small", 576, 1024, "1.5"),
    _mobilenet_v3("large", 960, 1280, "4.2"),
    _mnasnet("0_5", 16, "0.9"),
    _mnasnet("0_75", 24, "1.9"),
    _mnasnet("1_0", 32, "3.1"),
    _mnasnet("1_3", 40, "5.0"),
    _efficientnet("efficientnet_b0", 1280, 32, "4"),
    _efficientnet("efficientnet_b1", 1280, 32, "6.5"),
    _efficientnet("efficientnet_b2", 1408, 32, "7.7"),
    _efficientnet("efficientnet_b3", 1536, 40, "11"),
    _efficientnet("efficientnet_b4", 1792, 48, "18"),
    _efficientnet("efficientnet_b5", 2048, 48, "28"),
    _efficientnet("efficientnet_b6", 2304, 56, "41"),
    _efficientnet("efficientnet_b7", 2560, 64, "64"),
    _efficientnet("efficientnet_v2_s", 1280, 24, "20"),
    _efficientnet("efficientnet_v2_m", 1280, 24, "53"),
    _efficientnet("efficientnet_v2_l", 1280, 32, "117"),
    _convnext("tiny", 768, "28"),
    _convnext("small", 768, "49"),
    _convnext("base", 1024, "88"),
    _convnext("large", 1536, "196"),
)
