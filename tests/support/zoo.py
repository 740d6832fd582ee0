"""Networks of every served architecture, as their libraries build them."""

from typing import Any

from torch import nn
from torchvision import models

from app.nets.architectures import ARCHITECTURES

BY_DEFAULT = (
    "alexnet", "vgg11_bn", "squeezenet1_1", "densenet121", "inception_v3", "googlenet", "shufflenet_v2_x0_5",
    "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5", "efficientnet_b0", "convnext_tiny", "legacy_seresnet50",
    "seresnet50", "dpn68", "legacy_xception",
)  # fmt: skip
"""One small network of each family besides ResNet; their larger siblings are tested under the marker `slow`."""


def library_network(name: str, classes: int = 5) -> Any:
    """As a training script would build it."""
    if ARCHITECTURES[name].extra == "zoo":
        import timm  # noqa: PLC0415 - half a second

        network: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes)
        return network
    options = {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}
    return models.get_model(name, weights=None, num_classes=classes, **options)
