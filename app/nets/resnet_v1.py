"""ResNet as Keras has it (v1): a block halves in its first 1x1 convolution, not in its 3x3.

normalised images (B, 3, h, w) -> features (B, 2048, h/32, w/32), rounded up

The tensors have the names and shapes of torchvision's ResNet (v1.5), so either form loads the other's
weights without complaint and answers wrongly; hence names of their own. Keras pads explicitly (3 before
a valid 7x7, 1 before a valid max pooling); as the pooling comes after a ReLU, its zeros win nowhere and
torchvision's padding is the same.

Source: keras.applications.ResNet50/101/152; He et al. 2016 (arXiv 1512.03385), section 4.1.
"""

from collections.abc import Callable
from typing import Final

from torch import nn
from torchvision.models import resnet

BATCH_NORM_EPSILON: Final = 1.001e-5
"""torchvision has 1e-5; on trained weights the difference is in the sixth digit, but it is theirs."""


def resnet_v1(build: Callable[..., resnet.ResNet]) -> resnet.ResNet:
    """A torchvision ResNet of bottleneck blocks with Keras' strides and epsilon, and an `fc` to throw away."""
    network = build(weights=None, num_classes=1)
    for module in network.modules():
        if isinstance(module, resnet.Bottleneck):
            module.conv1.stride, module.conv2.stride = module.conv2.stride, module.conv1.stride
        elif isinstance(module, nn.BatchNorm2d):
            module.eps = BATCH_NORM_EPSILON
    return network
