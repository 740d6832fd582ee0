"""The formulas of class activation maps, from one layer's activations and the target's gradient there.

activations A (B, C, h, w), gradient G (B, C, h, w) -> (B, h, w), signed, never NaN

All but `eigencam` are multiplied by the number of cells, so that a map's mean is what its layer contributes to
the target: behind average pooling and one linear layer, `gradcam` is then the class activation map in logit
units. Nothing is cut off at zero at the end; whoever draws a map does that. Knows no networks.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from app.domain import Method

TINY = torch.finfo(torch.float32).tiny
ROUNDING = 1e-5
"""Of what is added up; a few hundred float32 terms are off by less."""


def gradcam(activations: Tensor, gradient: Tensor) -> Tensor:
    """Selvaraju et al. 2017, equation 2, without its ReLU: each channel by its mean gradient."""
    weights = gradient.sum(dim=(2, 3), keepdim=True)
    return (weights * activations).sum(dim=1)


def hirescam(activations: Tensor, gradient: Tensor) -> Tensor:
    """Draelos and Carin 2020 (arXiv 2011.08891): every cell by its own gradient.

    Where a cell's channels cancel to rounding, the cell says nothing. So it is before a layer normalisation
    (ConvNeXt): what follows does not change when a cell's channels all grow, so gradient times activation is zero.
    """
    products = gradient * activations
    total = products.sum(dim=1)
    is_rounding = total.abs() <= ROUNDING * products.abs().sum(dim=1)
    return _cells(activations) * torch.where(is_rounding, 0.0, total)


def xgradcam(activations: Tensor, gradient: Tensor) -> Tensor:
    """Fu et al. 2020 (arXiv 2008.02312), equation 8: gradients weighted by each cell's share of its channel.

    A channel whose activations add up to nothing has no shares and is left out; libraries divide by a small
    number instead.
    """
    sums = activations.sum(dim=(2, 3), keepdim=True)
    weights = _divided((gradient * activations).sum(dim=(2, 3), keepdim=True), sums)
    return _cells(activations) * (weights * activations).sum(dim=1)


def gradcam_plus_plus(activations: Tensor, gradient: Tensor, *, epsilon: float = 0.0) -> Tensor:
    """Chattopadhyay et al. 2018 (arXiv 1710.11063), equations 9 and 19, of the score itself.

    Args:
        activations: (B, C, h, w).
        gradient: (B, C, h, w).
        epsilon: pytorch-grad-cam adds 1e-6 to a denominator that is near 1e-7 in a ResNet-50, and so changes
            the map; with 0, squares of the gradient cancel, and the formula is that of the paper.
    """
    sums = activations.sum(dim=(2, 3), keepdim=True)
    if epsilon:
        squares = gradient**2
        share = _divided(squares, 2 * squares + sums * squares * gradient + epsilon)
    else:
        share = _divided(torch.ones_like(gradient), 2 + sums * gradient)
    weights = (share * gradient.relu()).sum(dim=(2, 3), keepdim=True)
    return _cells(activations) * (weights * activations).sum(dim=1)


def layercam(activations: Tensor, gradient: Tensor) -> Tensor:
    """Jiang et al. 2021, equation 6, without its last ReLU: every cell by its own gradient, where that is positive."""
    return _cells(activations) * (gradient.relu() * activations).sum(dim=1)


def eigencam(activations: Tensor, gradient: Tensor | None = None) -> Tensor:  # noqa: ARG001 - one signature
    """Muhammad and Yeasin 2020 (arXiv 2008.00299): the pattern that the channels share most; of no class.

    The first right singular vector of the (C, h w) activations times its singular value. A singular vector has
    no sign of its own: it is turned so that most of it is positive. Not centred, as in the paper; pytorch-grad-cam
    subtracts the mean and leaves the sign to chance.
    """
    batch, _, height, width = activations.shape
    flat = activations.flatten(2).double()
    values, vectors = torch.linalg.eigh(flat.mT @ flat)  # (B, h w), ascending
    pattern = vectors[:, :, -1] * values[:, -1:].clamp_min(0).sqrt()
    pattern = torch.where(pattern.sum(dim=1, keepdim=True) < 0, -pattern, pattern)
    return pattern.to(activations.dtype).reshape(batch, height, width)


FORMULAS: Mapping[Method, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {
        "gradcam": gradcam,
        "hirescam": hirescam,
        "xgradcam": xgradcam,
        "gradcam++": gradcam_plus_plus,
        "layercam": layercam,
        "eigencam": eigencam,
    }
)
"""What a gradient gives. `cam` is missing: it is the weights of a linear layer, and only a head has those."""


def contributions(activations: Tensor, gradient: Tensor) -> Tensor:
    """What each channel adds to the target, to first order: (B, C)."""
    return (gradient * activations).sum(dim=(2, 3))


def _cells(activations: Tensor) -> int:
    return activations.shape[2] * activations.shape[3]


def _divided(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Zero where the denominator is."""
    is_nothing = denominator.abs() <= TINY
    return torch.where(is_nothing, 0.0, numerator / torch.where(is_nothing, 1.0, denominator))
