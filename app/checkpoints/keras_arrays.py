"""A Keras layer -> its arrays, as tensors in our layout.

Kernels HWIO -> OIHW, dense (in, out) -> (out, in), the bias of a convolution and another epsilon folded
into the batch normalisation behind it. Knows no architecture.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from app.checkpoints.keras_files import Array, Stored, shown
from app.checkpoints.keras_graph import Layer
from app.errors import WeightsRefused

ORDER: Final = {
    "Conv2D": ("kernel", "bias"),
    "Dense": ("kernel", "bias"),
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "Normalization": ("mean", "variance", "count"),
}
"""The variables of a layer, as Keras 3 counts them."""


class Arrays:
    """The arrays of a file, by layer."""

    def __init__(self, stored: Sequence[Stored]) -> None:
        self._stored = stored

    def of(self, layer: Layer) -> dict[str, Array]:
        """What is stored for this layer, by variable name.

        Raises:
            WeightsRefused: two arrays claim one place.
        """
        found: dict[str, Array] = {}
        names = _counted(layer)
        for stored in self._stored:
            if not _belongs(stored, layer):
                continue
            name = stored.variable
            if name.isdecimal() and len(name) < 3:
                if int(name) >= len(names):
                    continue
                name = names[int(name)]
            if name in found:
                raise WeightsRefused(f"{layer.words} has two arrays {shown(name)!r}")
            found[name] = stored.array
        return found

    def need(self, layer: Layer, name: str, dimensions: int) -> Array:
        """One array that has to be there.

        Raises:
            WeightsRefused: it is not, or has another number of dimensions.
        """
        array = self.of(layer).get(name)
        if array is None:
            raise WeightsRefused(f"{layer.words} has no {name} in the file")
        if array.ndim != dimensions or array.dtype.kind != "f":
            raise WeightsRefused(f"{name} of {layer.words} is {array.dtype} of shape {array.shape}")
        return array


def _belongs(stored: Stored, layer: Layer) -> bool:
    if stored.variable.isdecimal():
        return stored.groups == (layer.numbered if stored.is_numbered else layer.path)
    # .h5 names the outermost layer by its group; what lies between is a scope and differs by version.
    return stored.groups[:1] == layer.path[:1] and (
        len(layer.path) == 1 or stored.groups[-1] == layer.path[-1]
    )


def _counted(layer: Layer) -> list[str]:
    """The variables that the layer has, in their order."""
    absent = {
        name
        for name, setting in (("bias", "use_bias"), ("gamma", "scale"), ("beta", "center"))
        if layer.config.get(setting) is False
    }
    return [name for name in ORDER.get(layer.kind, ()) if name not in absent]


def convolution(arrays: Arrays, layer: Layer) -> tuple[Tensor, Tensor | None]:
    """(height, width, in, out) -> (out, in, height, width), and the bias (out,) where there is one."""
    kernel = _tensor(arrays.need(layer, "kernel", 4).transpose(3, 2, 0, 1))
    return kernel, _bias(arrays, layer, len(kernel))


def dense(arrays: Arrays, layer: Layer) -> tuple[Tensor, Tensor]:
    """(in, out) -> (out, in), and the bias (out,), zeros where there is none."""
    kernel = _tensor(arrays.need(layer, "kernel", 2).transpose())
    bias = _bias(arrays, layer, len(kernel))
    return kernel, torch.zeros(len(kernel)) if bias is None else bias


def batch_normalisation(
    arrays: Arrays, layer: Layer, bias: Tensor | None, *, channels: int, epsilon: float
) -> dict[str, Tensor]:
    """weight, bias, running_mean, running_var for a network with this epsilon, without the bias before it.

    `(x + bias - mean) / sqrt(var + theirs)` is `(x - (mean - bias)) / sqrt((var + theirs - ours) + ours)`.
    """
    mean = _tensor(arrays.need(layer, "moving_mean", 1), torch.float64)
    variance = _tensor(arrays.need(layer, "moving_variance", 1), torch.float64)
    gamma = (
        _tensor(arrays.need(layer, "gamma", 1)) if layer.config.get("scale", True) else torch.ones(channels)
    )
    beta = (
        _tensor(arrays.need(layer, "beta", 1)) if layer.config.get("center", True) else torch.zeros(channels)
    )
    if {len(each) for each in (mean, variance, gamma, beta)} != {channels}:
        raise WeightsRefused(f"{layer.words} has arrays that do not fit the {channels} channels before it")
    theirs = layer.config.get("epsilon", epsilon)
    if not isinstance(theirs, int | float) or not 0 <= theirs < 1:
        raise WeightsRefused(f"{layer.words} has epsilon = {shown(str(theirs))}")
    shifted = variance + (float(theirs) - epsilon)
    if bool((variance >= 0).all() and (shifted < 0).any()):
        raise WeightsRefused(
            f"{layer.words}: epsilon = {theirs} is too small to be carried over to {epsilon}"
        )
    return {
        "weight": gamma,
        "bias": beta,
        "running_mean": (mean if bias is None else mean - bias.double()).float(),
        "running_var": shifted.float(),
    }


def _bias(arrays: Arrays, layer: Layer, outputs: int) -> Tensor | None:
    if not layer.config.get("use_bias", True):
        return None
    bias = _tensor(arrays.need(layer, "bias", 1))
    if len(bias) != outputs:
        raise WeightsRefused(f"bias of {layer.words} has {len(bias)} numbers for {outputs} outputs")
    return bias


def _tensor(array: Array, dtype: torch.dtype = torch.float32) -> Tensor:
    # A copy in this machine's byte order; the file's memory is not kept.
    return torch.from_numpy(
        np.array(array, dtype=np.float64 if dtype == torch.float64 else np.float32, order="C")
    )
