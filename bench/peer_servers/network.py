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

preprocess = transforms.Compose(
    [
        transforms.Resize(256),
        transforms.CenterCrop(224),
        transforms.ToTensor(),
        transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
    ]
)


def load(weights: Path | None = None) -> torch.nn.Module:
    """The network with the weights that the bench wrote, on as many threads as it says."""
    torch.set_num_threads(int(os.environ.get("PEER_THREADS", os.cpu_count() or 1)))
    model = models.resnet50(num_classes=len(CLASSES))
    model.load_state_dict(torch.load(weights or os.environ["PEER_WEIGHTS"], weights_only=True))
    return model.eval()


def tensor_of(data: bytes) -> torch.Tensor:
    """A picture's file -> (3, 224, 224) float32."""
    return preprocess(Image.open(io.BytesIO(data)).convert("RGB"))


@torch.inference_mode()
def classify(model: torch.nn.Module, tensors: list[torch.Tensor]) -> list[dict[str, float]]:
    """One batch -> a dictionary of class probabilities for each."""
    probabilities = torch.softmax(model(torch.stack(tensors)), dim=1)
    return [dict(zip(CLASSES, row, strict=True)) for row in probabilities.tolist()]
