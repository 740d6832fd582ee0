"""What the batch normalisations of a network remember of its training, and how far given pictures are from it.

network -> BatchMemory.listening() -> forward pass -> moments per picture (N, 2, C) -> distance -> nats per channel

A batch normalisation keeps the mean and the variance that each channel had over the training pictures. Pictures
prepared as in training have about the same; on another scale they are off by orders of magnitude, however sure
the network is of its answers. No labels are needed. Networks without batch normalisation remember nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from app.evaluation.metrics import Floats

MAX_CHANNELS: Final = 256
"""Of the first layers: they see the pixels' values, the later ones what is in the picture."""
RESAMPLES: Final = 400

Moments = NDArray[np.float32]
"""(..., 2, C): mean and mean square of each channel over a picture's cells."""


class BatchMemory:
    """The first batch normalisations of one network."""

    def __init__(self, network: nn.Module) -> None:
        self._norms: list[nn.BatchNorm2d] = []
        channels = 0
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d) and module.running_var is not None:
                channels += module.num_features
                if channels > MAX_CHANNELS and self._norms:
                    break
                self._norms.append(module)
        means = [_running(norm)[0] for norm in self._norms]
        variances = [_running(norm)[1] for norm in self._norms]
        self.mean = np.concatenate(means) if means else np.empty(0)
        self.variance = np.concatenate(variances) if variances else np.empty(0)

    @property
    def is_empty(self) -> bool:
        """There is no batch normalisation."""
        return not self._norms

    @contextmanager
    def listening(self) -> Iterator[list[Moments]]:
        """Inside, each forward pass of one batch (B pictures) appends its moments, (B, 2, C).

        Uses hooks, which the serving path never does: one thread at a time may listen.
        """
        heard: list[Moments] = []
        parts: dict[nn.Module, Moments] = {}

        def hear(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            cells: Tensor = inputs[0]
            variance, mean = torch.var_mean(cells, dim=(2, 3), correction=0)
            parts[module] = torch.stack([mean, variance + mean.square()], dim=1).cpu().numpy()
            if len(parts) == len(self._norms):
                heard.append(np.concatenate([parts[norm] for norm in self._norms], axis=2))
                parts.clear()

        handles = [norm.register_forward_pre_hook(hear) for norm in self._norms]
        try:
            yield heard
        finally:
            for handle in handles:
                handle.remove()

    def distance(self, moments: Moments) -> float:
        """(N, 2, C) of N pictures -> how far they are from the training's, nats per channel; 0 is alike."""
        return float(self._distance(moments.astype(np.float64).mean(axis=0)))

    def chance_of_nearer(self, moments: Moments, than: Moments) -> float:
        """How often the one would be at least as near as the other, were other such pictures taken; 0..1.

        Args:
            moments: (N, 2, C).
            than: (N, 2, C), of the same pictures prepared otherwise.

        Source: the paired bootstrap; Efron and Tibshirani 1993, chapter 16.
        """
        count = len(moments)
        drawn = np.random.default_rng(0).integers(0, count, (RESAMPLES, count))
        weights = np.stack([np.bincount(row, minlength=count) for row in drawn]) / count
        mine, others = (
            self._distance(np.einsum("rn,nmc->rmc", weights, each.astype(np.float64)))
            for each in (moments, than)
        )
        return float(np.mean(mine <= others))

    def _distance(self, moments: Floats) -> Floats:
        """(..., 2, C) -> (...): mean over channels of the Kullback-Leibler divergence of two normal distributions."""
        mean, square = moments[..., 0, :], moments[..., 1, :]
        floor = 1e-12 + 1e-6 * self.variance
        ratio = np.maximum(square - mean**2, floor) / np.maximum(self.variance, floor)
        shift = (mean - self.mean) ** 2 / np.maximum(self.variance, floor)
        return np.asarray(0.5 * (ratio + shift - 1 - np.log(ratio)).mean(axis=-1))


def _running(norm: nn.BatchNorm2d) -> tuple[Floats, Floats]:
    assert norm.running_mean is not None  # noqa: S101 - told apart above; for the type checker
    assert norm.running_var is not None  # noqa: S101
    mean, variance = norm.running_mean.double().cpu().numpy(), norm.running_var.double().cpu().numpy()
    return mean, variance
