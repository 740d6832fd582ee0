"""Small networks with random weights that answer reasonable numbers."""

import numpy as np
import torch
from torch import nn

from app.domain import HeadSpec, LinearHead, NetworkSpec, Normalisation, Size
from app.engines.base import EngineOutput
from app.nets.servable import Servable, build_servable, load_servable, noise_images, servable_state

SIZE = Size(32, 40)


DAMPED = 0.2
"""Weight of a residual branch. At 1, a random ResNet-50 turns bfloat16's rounding into 40 % of a logit, on any device; a
trained one does not."""


def servable_of(head: HeadSpec | None = None, name: str = "cifar_resnet14") -> Servable:
    """Random weights with the statistics of noise."""
    torch.manual_seed(0)
    spec = NetworkSpec(name, 3, SIZE, head or LinearHead(), Normalisation(mean=(0.5,) * 3, std=(0.25,) * 3))
    fresh = build_servable(spec)
    for module in fresh.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
        last = getattr(module, "bn3", getattr(module, "bn2", None)) if hasattr(module, "downsample") else None
        if isinstance(last, nn.BatchNorm2d):
            nn.init.constant_(last.weight, DAMPED)
    fresh(noise_images(SIZE, 8, seed=5))
    return load_servable(spec, servable_state(fresh))


def noise(count: int, seed: int = 0) -> np.ndarray:
    return noise_images(SIZE, count, seed=seed).numpy()


def assert_close(found: EngineOutput, expected: EngineOutput, tolerance: float) -> None:
    for one, other in ((found.logits, expected.logits), (found.evidence, expected.evidence)):
        assert np.abs(one - other).max() <= tolerance * np.abs(other).max()
