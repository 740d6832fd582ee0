"""Random weights whose numbers look like a trained network's."""

from collections.abc import Callable

import pytest
import torch
from torch import nn


def calibrate(model: nn.Module, *, size: int) -> nn.Module:
    """Batch statistics from noise: fresh ones let activations run from 1e-5 to 1e3."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
            module.train()
    with torch.no_grad():
        model(torch.randn(4, 3, size, size))
    return model.eval()


@pytest.fixture
def calibrated() -> Callable[..., nn.Module]:
    torch.manual_seed(0)
    return calibrate


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Networks this small gain nothing from more; beside other work the suite took five times as long."""
    torch.set_num_threads(1)
