"""Heads: features (B, C, h', w') -> logits (B, K) and their evidence (B, K, h'', w'').

Where a head is average pooling and one linear layer, applying the layer at every cell and averaging
afterwards gives the same logits, and the cells are the class activation maps (Zhou et al. 2016):
`logit = bias + mean over cells of evidence`. Where layers with an activation follow the pooling, the
evidence is the gradient of the logit through the head alone, contracted with the features; it is written
out in closed form, so nothing here needs a backward pass or a hook, and many threads can run one head.
Knows nothing of trunks or pixels.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor, nn

from app.domain import ConvCamHead, EvidenceKind, HeadSpec, LinearHead, Method, MlpHead, OwnHead
from app.errors import ManifestInvalid

Activation = Literal["relu", "hardswish"]

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


class AverageMlp(Head):
    """Average pooling, then linear layers with ReLU or hard swish between (MobileNetV3).

    With p the pooled features and d_i the slopes of the i-th activation, the gradient of the logits is
    `W_n diag(d) W_(n-1) ... diag(d) W_1`, one (K, C) matrix per image. The evidence at a cell is that
    matrix times the cell's features; its mean is gradient . p, and `bias_of` is what remains.
    """

    evidence_kind: EvidenceKind = "gradient"
    margin_cells = 0.0
    evidence_methods = ("gradcam", "hirescam", "xgradcam")

    def __init__(
        self, channels: int, class_count: int, *, hidden: Sequence[int], activation: Activation = "relu"
    ) -> None:
        super().__init__()
        widths = [channels, *hidden, class_count]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        self.activation = activation

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h', w') -> logits (B, K), evidence (B, K, h', w')."""
        linears = self._linears()
        logits, tangents = _through(linears, features.mean(dim=(2, 3)), self.activation)
        gradient, _ = _gradient_and_bias(linears, tangents)
        evidence = torch.einsum("bkc,bchw->bkhw", gradient @ linears[0].weight, features)
        return logits, evidence

    def pooled_logits(self, activations: Tensor) -> Tensor:
        """(B, C, h', w') -> (B, K)."""
        return _through(self._linears(), activations.mean(dim=(2, 3)), self.activation)[0]

    def bias_of(self, features: Tensor) -> Tensor:
        """(B, K): the layers' biases, carried through each image's own slopes."""
        linears = self._linears()
        _, tangents = _through(linears, features.mean(dim=(2, 3)), self.activation)
        return _gradient_and_bias(linears, tangents)[1]

    def _linears(self) -> list[nn.Linear]:
        return [cast("nn.Linear", layer) for layer in self.layers]


class FlattenMlp(Head):
    """Pooling to a fixed grid, every cell kept apart, then linear layers with ReLU between (AlexNet, VGG).

    The first layer has weights of its own for every cell, so there is no class activation map. The
    evidence is the gradient of the logit through these layers times the pooled features, summed over
    channels: HiResCAM at the pooling (Draelos and Carin 2020, arXiv 2011.08891), times the number of
    cells. Where the trunk's grid is the pooling's (224 pixels), it is also HiResCAM at the trunk.
    """

    evidence_kind: EvidenceKind = "gradient"
    margin_cells = 0.0
    evidence_methods = ("hirescam",)

    def __init__(self, channels: int, class_count: int, *, cells: int, hidden: Sequence[int]) -> None:
        super().__init__()
        widths = [channels * cells * cells, *hidden, class_count]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        self.cells = cells
        """Along each side of the pooled grid."""

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h', w') -> logits (B, K), evidence (B, K, cells, cells)."""
        linears = self._linears()
        pooled = self.activations(features)
        logits, tangents = _through(linears, pooled.flatten(1), "relu")
        gradient, _ = _gradient_and_bias(linears, tangents)
        return logits, self.cells**2 * self._evidence(gradient, pooled, linears[0])

    def activations(self, features: Tensor) -> Tensor:
        """(B, C, h', w') -> (B, C, cells, cells)."""
        return F.adaptive_avg_pool2d(features, self.cells)

    def pooled_logits(self, activations: Tensor) -> Tensor:
        """(B, C, cells, cells) -> (B, K)."""
        return _through(self._linears(), activations.flatten(1), "relu")[0]

    def bias_of(self, features: Tensor) -> Tensor:
        """(B, K): the layers' biases, carried through the ReLUs that are open for each image."""
        linears = self._linears()
        _, tangents = _through(linears, self.activations(features).flatten(1), "relu")
        return _gradient_and_bias(linears, tangents)[1]

    def _evidence(self, gradient: Tensor, pooled: Tensor, first: nn.Linear) -> Tensor:
        """Gradient at the first layer's output (B, K, J), its input (B, C, n, n) -> (B, K, n, n).

        Either every class is carried back through the first layer, or every cell forward through it; the
        products are the same, and the fewer of the two are computed (VGG: 0.1 G multiplications each).
        """
        batch, classes = gradient.shape[:2]
        channels, n = pooled.shape[1], self.cells
        if classes <= n * n:
            at_input = (gradient @ first.weight).reshape(batch, classes, channels, n, n)
            return torch.einsum("bkcyx,bcyx->bkyx", at_input, pooled)
        one_cell_each = torch.diag_embed(pooled.flatten(2)).permute(0, 3, 1, 2)  # (B, n n, C, n n)
        by_cell = one_cell_each.reshape(batch, n * n, -1) @ first.weight.T  # (B, n n, J)
        return (gradient @ by_cell.mT).reshape(batch, classes, n, n)

    def _linears(self) -> list[nn.Linear]:
        return [cast("nn.Linear", layer) for layer in self.layers]


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
    """From the last layer back to the first.

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


def build_head(spec: HeadSpec, *, channels: int, class_count: int) -> Head:
    """A head with fresh weights for features of this many channels.

    An own head is average pooling and one linear layer here; what else it may be, its architecture knows.

    Raises:
        ManifestInvalid: sizes that no head can have.
    """
    if class_count < 1:
        raise ManifestInvalid(f"a head needs at least one class, not {class_count}")
    match spec:
        case LinearHead() | OwnHead():
            return AverageLinear(channels, class_count)
        case MlpHead(hidden=hidden):
            if not hidden or min(hidden) < 1:
                raise ManifestInvalid(
                    f"an mlp head needs its hidden widths, each at least 1, not {list(hidden)}; "
                    'a head without hidden layers is kind = "linear"'
                )
            return AverageMlp(channels, class_count, hidden=hidden)
        case ConvCamHead(kernel_size=kernel_size, channels=conv_channels):
            if kernel_size < 1 or (conv_channels is not None and conv_channels < 1):
                raise ManifestInvalid("a conv_cam head needs kernel_size and channels of at least 1")
            return ConvCam(
                channels,
                class_count,
                kernel_size=kernel_size,
                conv_channels=class_count if conv_channels is None else conv_channels,
            )
