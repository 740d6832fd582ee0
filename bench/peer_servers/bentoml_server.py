"""BentoML: a batchable endpoint that takes pictures."""

from __future__ import annotations

import bentoml
import torch
from network import classify, load, preprocess
from PIL.Image import Image as PILImage


@bentoml.service(workers=1, traffic={"timeout": 60})
class Classifier:
    """Adaptive batching, as docs.bentoml.com describes it."""

    def __init__(self) -> None:
        self.model: torch.nn.Module = load()

    @bentoml.api(batchable=True, max_batch_size=16)
    def predict(self, images: list[PILImage]) -> list[dict[str, float]]:
        return classify(self.model, [preprocess(image.convert("RGB")) for image in images])
