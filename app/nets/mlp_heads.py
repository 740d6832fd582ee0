"""Heads of several linear layers: features (B, C, h', w') -> logits (B, K) and their evidence (B, K, h'', w'').

pooling -> linear, activation, linear, ... -> logits, and each image's own slopes -> gradient -> evidence

The gradient of the logits through these layers is one small matrix per image, written out in closed form; the
evidence at a cell is that matrix times what the cell gave to the pooling. What the layers' biases add depends on
the slopes, so the bias of such a head depends on the image.
"""

from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor, nn

from app.domain import EvidenceKind, Size
from app.nets.heads import Head

Activation = Literal["relu", "hardswish"]


class _LinearLayers(Head):
    """What these heads share: linear layers with an activation between, behind a pooling."""

    evidence_kind: EvidenceKind = "gradient"
    margin_cells = 0.0

    def __init__(
        self, inputs: int, class_count: int, *, hidden: Sequence[int], activation: Activation = "relu"
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(before, after) for before, after in pairwise([inputs, *hidden, class_count])
        )
        self.activation = activation

    @abstractmethod
    def _pooled(self, features: Tensor) -> Tensor:
        """(B, C, h', w') -> what the first layer takes, (B, inputs)."""

    def pooled_logits(self, activations: Tensor) -> Tensor:
        """(B, C, h', w') -> (B, K)."""
        return _through(self._linears(), self._pooled(activations), self.activation)[0]

    def bias_of(self, features: Tensor) -> Tensor:
        """(B, K): the layers' biases, carried through each image's own slopes."""
        return self._followed(self._pooled(features))[2]

    def _followed(self, pooled: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, inputs) -> logits (B, K), their gradient at the first layer's output (B, K, width), their bias."""
        linears = self._linears()
        if len(linears) == 1:  # whose output is the logits
            logits: Tensor = self.first(pooled)
            one_each = torch.eye(logits.shape[1], dtype=logits.dtype, device=logits.device)
            return logits, one_each.expand(len(logits), -1, -1), self.first.bias.expand(len(logits), -1)
        logits, tangents = _through(linears, pooled, self.activation)
        return logits, *_gradient_and_bias(linears, tangents)

    @property
    def first(self) -> nn.Linear:
        """The layer behind the pooling."""
        return self._linears()[0]

    def _linears(self) -> list[nn.Linear]:
        return [cast("nn.Linear", layer) for layer in self.layers]


class AverageMlp(_LinearLayers):
    """Average pooling, then linear layers with ReLU or hard swish between (MobileNetV3).

    With p the pooled features and d_i the slopes of the i-th activation, the gradient of the logits is
    `W_n diag(d) W_(n-1) ... diag(d) W_1`, one (K, C) matrix per image. The evidence at a cell is that
    matrix times the cell's features; its mean is gradient . p, and `bias_of` is what remains.
    """

    evidence_methods = ("gradcam", "hirescam", "xgradcam")

    def __init__(
        self, channels: int, class_count: int, *, hidden: Sequence[int], activation: Activation = "relu"
    ) -> None:
        super().__init__(channels, class_count, hidden=hidden, activation=activation)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h', w') -> logits (B, K), evidence (B, K, h', w')."""
        logits, gradient, _ = self._followed(self._pooled(features))
        return logits, torch.einsum("bkc,bchw->bkhw", gradient @ self.first.weight, features)

    def _pooled(self, features: Tensor) -> Tensor:
        return features.mean(dim=(2, 3))


class ConcatPoolMlp(_LinearLayers):
    """Maximum and average pooling side by side, then linear layers with ReLU between (fastai's head).

    The gradient of a maximum goes to the cells that hold it, in equal shares, so with g = [g_max, g_mean] the
    evidence at a cell is g_mean times its features plus, at the maxima of each channel, g_max times them and
    the number of cells. Its mean is g . [max, mean]. fastai's batch normalisations are affine when serving
    and lie in the layers' weights and biases, so `bias_of` holds what they add.

    Source: fastai 2.8, `AdaptiveConcatPool2d` and `create_head`.
    """

    evidence_methods = ("hirescam",)

    def __init__(self, channels: int, class_count: int, *, hidden: Sequence[int]) -> None:
        super().__init__(2 * channels, class_count, hidden=hidden)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h', w') -> logits (B, K), evidence (B, K, h', w')."""
        logits, gradient, _ = self._followed(self._pooled(features))
        at_maximum, at_mean = (gradient @ self.first.weight).chunk(2, dim=2)
        is_maximum = (features == features.amax(dim=(2, 3), keepdim=True)).to(features.dtype)
        cells = features.shape[2] * features.shape[3]
        peaks = features * is_maximum * (cells / is_maximum.sum(dim=(2, 3), keepdim=True))
        evidence = torch.einsum("bkc,bchw->bkhw", at_mean, features)
        return logits, evidence + torch.einsum("bkc,bchw->bkhw", at_maximum, peaks)

    def _pooled(self, features: Tensor) -> Tensor:
        return torch.cat([features.amax(dim=(2, 3)), features.mean(dim=(2, 3))], dim=1)


class FlattenMlp(_LinearLayers):
    """Pooling to a fixed grid, every cell kept apart, then linear layers with ReLU between (AlexNet, VGG).

    The first layer has weights of its own for every cell, so there is no class activation map. The
    evidence is the gradient of the logit through these layers times the pooled features, summed over
    channels: HiResCAM at the pooling (Draelos and Carin 2020, arXiv 2011.08891), times the number of
    cells. Where the trunk's grid is the pooling's (224 pixels), it is also HiResCAM at the trunk.
    """

    evidence_methods = ("hirescam",)

    def __init__(self, channels: int, class_count: int, *, cells: int, hidden: Sequence[int]) -> None:
        super().__init__(channels * cells * cells, class_count, hidden=hidden)
        self.cells = cells
        """Along each side of the pooled grid."""

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h', w') -> logits (B, K), evidence (B, K, cells, cells)."""
        pooled = self.activations(features)
        logits, gradient, _ = self._followed(pooled.flatten(1))
        return logits, self.cells**2 * self._evidence(gradient, pooled)

    def keeps_grid(self, grid: Size) -> bool:
        """Whether there is nothing to pool."""
        return grid == Size(self.cells, self.cells)

    def activations(self, features: Tensor) -> Tensor:
        """(B, C, h', w') -> (B, C, cells, cells)."""
        return F.adaptive_avg_pool2d(features, self.cells)

    def _pooled(self, features: Tensor) -> Tensor:
        # Pooling what is already that grid leaves it as it is.
        return self.activations(features).flatten(1)

    def _evidence(self, gradient: Tensor, pooled: Tensor) -> Tensor:
        """Gradient at the first layer's output (B, K, J), its input (B, C, n, n) -> (B, K, n, n).

        Either every class is carried back through the first layer, or every cell forward through it; the
        products are the same, and the fewer of the two are computed (VGG: 0.1 G multiplications each).
        """
        batch, classes = gradient.shape[:2]
        channels, n = pooled.shape[1], self.cells
        if classes <= n * n:
            at_input = (gradient @ self.first.weight).reshape(batch, classes, channels, n, n)
            return torch.einsum("bkcyx,bcyx->bkyx", at_input, pooled)
        one_cell_each = torch.diag_embed(pooled.flatten(2)).permute(0, 3, 1, 2)  # (B, n n, C, n n)
        by_cell = one_cell_each.reshape(batch, n * n, -1) @ self.first.weight.T  # (B, n n, J)
        return (gradient @ by_cell.mT).reshape(batch, classes, n, n)


class Tangent(NamedTuple):
    """An activation at its values z, as the line that touches it there: slope * z + rest."""

    slope: Tensor
    rest: Tensor | None
    """None where the line goes through zero, as ReLU's do."""


def _activated(values: Tensor, activation: Activation) -> tuple[Tensor, Tangent]:
    if activation == "relu":
        return F.relu(values), Tangent((values > 0).to(values.dtype), None)
    # x clamp(x + 3, 0, 6) / 6; its slope is 0 below -3, 1 above 3 and (2 x + 3) / 6 between.
    activated = F.hardswish(values)
    slope = torch.where(values < -3, 0.0, torch.where(values > 3, 1.0, (2 * values + 3) / 6))
    return activated, Tangent(slope, activated - slope * values)


def _through(
    linears: Sequence[nn.Linear], values: Tensor, activation: Activation
) -> tuple[Tensor, list[Tangent]]:
    """Inputs (B, width) -> logits (B, K), and each hidden layer's tangents, (B, width)."""
    *earlier, last = linears
    tangents: list[Tangent] = []
    for layer in earlier:
        values, tangent = _activated(layer(values), activation)
        tangents.append(tangent)
    return last(values), tangents


def _gradient_and_bias(linears: Sequence[nn.Linear], tangents: Sequence[Tangent]) -> tuple[Tensor, Tensor]:
    """From the last layer back to the first of several.

    Returns:
        the logits' gradient at the first layer's output, (B, K, width), and their bias, (B, K).
    """
    *earlier, last = linears
    batch = tangents[0].slope.shape[0]
    gradient = last.weight.expand(batch, -1, -1)
    bias = last.bias.expand(batch, -1)
    for position in reversed(range(len(earlier))):
        slope, rest = tangents[position]
        if rest is not None:
            bias = bias + torch.einsum("bkw,bw->bk", gradient, rest)
        gradient = gradient * slope[:, None, :]
        bias = bias + gradient @ earlier[position].bias
        if position:
            gradient = gradient @ earlier[position].weight
    return gradient, bias
