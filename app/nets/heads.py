"""Heads: features (B, C, h', w') -> logits (B, K) and their evidence (B, K, h'', w'').

Where a head is average pooling and one linear layer, applying the layer at every cell and averaging
afterwards gives the same logits, and the cells are the class activation maps (Zhou et al. 2016):
`logit = bias + mean over cells of evidence`. Where layers with an activation follow the pooling, the
evidence is the gradient of the logit through the head alone, contracted with the features (mlp_heads.py); it is
written out in closed form, so nothing here needs a backward pass or a hook, and many threads can run one head.
Knows nothing of trunks or pixels.
"""

from abc import ABC, abstractmethod
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor, nn

from app.domain import EvidenceKind, Method, Size

AVERAGED: tuple[Method, ...] = ("cam", "gradcam", "hirescam", "xgradcam")
"""Behind average pooling and one linear layer the gradient is the same at every cell, so these are one map
(Selvaraju et al. 2017, section 3.1)."""


class Head(nn.Module, ABC):
    """What every head can tell about itself."""

    evidence_kind: EvidenceKind
    margin_cells: float
    """Feature cells that the evidence grid lies inside the feature grid, on each side."""

    @abstractmethod
    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h', w') -> logits (B, K), evidence (B, K, h'', w'')."""

    evidence_methods: tuple[Method, ...]
    """What the literature calls this evidence, up to a constant factor; the first is its own name."""

    def activations(self, features: Tensor) -> Tensor:
        """What the evidence's cells are cells of: the features, or a layer of the head's own.

        (B, C, h', w') -> (B, C', h'', w'').
        """
        return features

    def keeps_grid(self, grid: Size) -> bool:  # noqa: ARG002 - only those that pool to a grid look at it
        """Whether the evidence's cells are cells of the trunk's grid (or of the inside of it)."""
        return True

    @abstractmethod
    def pooled_logits(self, activations: Tensor) -> Tensor:
        """The logits as the training script computes them, pooling first: (B, C', h'', w'') -> (B, K)."""

    @abstractmethod
    def bias_of(self, features: Tensor) -> Tensor:
        """What the evidence does not explain: (K,), or (B, K) where it depends on the image."""


def at_every_cell(features: Tensor, linear: nn.Linear) -> Tensor:
    """The linear layer without its bias at every cell: (B, C, h, w) -> (B, K, h, w), in logit units."""
    return F.conv2d(features, linear.weight[:, :, None, None])


class AverageLinear(Head):
    """Average pooling, then one linear layer."""

    evidence_kind: EvidenceKind = "exact"
    margin_cells = 0.0
    evidence_methods = AVERAGED

    def __init__(self, channels: int, class_count: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, class_count)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h', w') -> logits (B, K), evidence (B, K, h', w')."""
        evidence = at_every_cell(features, self.linear)
        return evidence.mean(dim=(2, 3)) + self.linear.bias, evidence

    def pooled_logits(self, activations: Tensor) -> Tensor:
        """(B, C, h', w') -> (B, K)."""
        logits: Tensor = self.linear(activations.mean(dim=(2, 3)))
        return logits

    def bias_of(self, features: Tensor) -> Tensor:  # noqa: ARG002 - the same for every image
        """(K,)."""
        return self.linear.bias


class ConvCam(Head):
    """A convolution without padding, ReLU, average pooling, one linear layer (the carcass model).

    The evidence lies on the convolution's grid, which is `kernel_size - 1` cells smaller than the
    features': cell i of it sits on feature cell i + margin_cells, and must not be stretched over the
    whole input.
    """

    evidence_kind: EvidenceKind = "exact"
    evidence_methods = AVERAGED

    def __init__(self, channels: int, class_count: int, *, kernel_size: int, conv_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, conv_channels, kernel_size)
        self.linear = nn.Linear(conv_channels, class_count)
        self.margin_cells = (kernel_size - 1) / 2

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h', w') -> logits (B, K), evidence (B, K, h' - k + 1, w' - k + 1)."""
        evidence = at_every_cell(self.activations(features), self.linear)
        return evidence.mean(dim=(2, 3)) + self.linear.bias, evidence

    def activations(self, features: Tensor) -> Tensor:
        """(B, C, h', w') -> (B, conv_channels, h' - k + 1, w' - k + 1), the convolution's, not negative."""
        return F.relu(self.conv(features))

    def pooled_logits(self, activations: Tensor) -> Tensor:
        """(B, conv_channels, h'', w'') -> (B, K)."""
        logits: Tensor = self.linear(activations.mean(dim=(2, 3)))
        return logits

    def bias_of(self, features: Tensor) -> Tensor:  # noqa: ARG002 - the same for every image
        """(K,)."""
        return self.linear.bias


class NormalisedLinear(Head):
    """Average pooling, layer normalisation over the channels, one linear layer (ConvNeXt).

    With the image's own standard deviation s held fixed, normalising is linear, and the layer at every
    cell, `W (gamma (A - mean of A's channels) / s)`, averages to the logits but for the constant
    `bias + W beta`. The plain gradient is of no use here: normalised features do not change when the
    features grow, so gradient . p is zero and its map would explain nothing of the logit.
    """

    evidence_kind: EvidenceKind = "gradient"
    margin_cells = 0.0
    evidence_methods = ("cam",)

    def __init__(self, channels: int, class_count: int, *, epsilon: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=epsilon)
        self.linear = nn.Linear(channels, class_count)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h', w') -> logits (B, K), evidence (B, K, h', w')."""
        variance = features.mean(dim=(2, 3)).var(dim=1, correction=0)
        scale = torch.rsqrt(variance + self.norm.eps)[:, None, None, None]
        centred = (features - features.mean(dim=1, keepdim=True)) * scale
        evidence = at_every_cell(centred * self.norm.weight[:, None, None], self.linear)
        return evidence.mean(dim=(2, 3)) + self.bias_of(features), evidence

    def pooled_logits(self, activations: Tensor) -> Tensor:
        """(B, C, h', w') -> (B, K)."""
        logits: Tensor = self.linear(self.norm(activations.mean(dim=(2, 3))))
        return logits

    def bias_of(self, features: Tensor) -> Tensor:  # noqa: ARG002 - the same for every image
        """(K,)."""
        return self.linear.bias + self.linear.weight @ self.norm.bias


class PointwiseAverage(Head):
    """A 1 x 1 convolution to the classes, perhaps ReLU, then average pooling: the convolution is the map.

    SqueezeNet has the ReLU, so its evidence and its logits are never negative and nothing is left over as
    bias; a dual path network has none, so its bias stays apart as with a linear layer.
    """

    evidence_kind: EvidenceKind = "exact"
    margin_cells = 0.0
    evidence_methods = AVERAGED

    def __init__(self, channels: int, class_count: int, *, relu: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, class_count, kernel_size=1)
        self.relu = relu

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h', w') -> logits (B, K), evidence (B, K, h', w')."""
        if self.relu:
            evidence = self.activations(features)
            return evidence.mean(dim=(2, 3)), evidence
        evidence = F.conv2d(features, self.conv.weight)
        return evidence.mean(dim=(2, 3)) + self.bias_of(features), evidence

    def activations(self, features: Tensor) -> Tensor:
        """The map itself where there is a ReLU, (B, K, h', w'); the features where there is none."""
        return F.relu(self.conv(features)) if self.relu else features

    def pooled_logits(self, activations: Tensor) -> Tensor:
        """(B, C', h', w') -> (B, K); SqueezeNet itself pools last."""
        if self.relu:
            return activations.mean(dim=(2, 3))
        logits: Tensor = self.conv(activations.mean(dim=(2, 3), keepdim=True)).flatten(1)
        return logits

    def bias_of(self, features: Tensor) -> Tensor:  # noqa: ARG002 - the same for every image
        """(K,)."""
        bias = cast("Tensor", self.conv.bias)
        return torch.zeros_like(bias) if self.relu else bias
