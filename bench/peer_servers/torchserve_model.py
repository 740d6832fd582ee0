"""TorchServe wants a class of its own to load the weights into."""

import os

import torch
from torchvision.models.resnet import Bottleneck, ResNet


class Classifier(ResNet):
    """ResNet-50 with three classes."""

    def __init__(self) -> None:
        torch.set_num_threads(int(os.environ["PEER_THREADS"]))
        super().__init__(Bottleneck, [3, 4, 6, 3], num_classes=3)
