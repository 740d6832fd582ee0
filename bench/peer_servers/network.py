"""What every peer serves: the same ResNet-50, the same preprocessing, as torchvision's documentation writes it.

Read by the peers' servers in their own environments, so it imports nothing of Lineside.
"""

import io
import os
from pathlib import Path

import torch
from PIL import Image
from torchvision import models, transforms

CLASSES = ["castrate", "boar", "female"]


def resized(side: int) -> int:
    """The shorter side before the crop: 256 for 224."""
    return round(side * 256 / 224)


def transform_to(side: int) -> transforms.Compose:
    """A picture to the network's input of that many pixels a side."""
    return transforms.Compose(
        [
            transforms.Resize(resized(side)),
            transforms.CenterCrop(side),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )


preprocess = transform_to(224)


def load(weights: Path | None = None) -> torch.nn.Module:
    """The network with the weights that the bench wrote, on as many threads as it says."""
    torch.set_num_threads(int(os.environ.get("PEER_THREADS", os.cpu_count() or 1)))
    model = models.resnet50(num_classes=len(CLASSES))
    model.load_state_dict(torch.load(weights or os.environ["PEER_WEIGHTS"], weights_only=True))
    return model.eval()


def tensor_of(data: bytes) -> torch.Tensor:
    """A picture's file -> (3, 224, 224) float32."""
    return opened(data, preprocess)


def opened(data: bytes, transform: transforms.Compose) -> torch.Tensor:
    """A picture's file -> (3, h, w) float32."""
    tensor: torch.Tensor = transform(Image.open(io.BytesIO(data)).convert("RGB"))
    return tensor


@torch.inference_mode()
def classify(model: torch.nn.Module, tensors: list[torch.Tensor]) -> list[dict[str, float]]:
    """One batch -> a dictionary of class probabilities for each."""
    probabilities = torch.softmax(model(torch.stack(tensors)), dim=1)
    return [dict(zip(CLASSES, row, strict=True)) for row in probabilities.tolist()]
