"""Heads: features (B, C, h', w') -> logits (B, K) and their evidence (B, K, h'', w'').

Where a head is average pooling and one linear layer, applying the layer at every cell and averaging
afterwards gives the same logits, and the cells are the class activation maps (Zhou et al. 2016):
`logit = bias + mean over cells of evidence`. Where layers with ReLU follow the pooling, the evidence is
the gradient of the logit through the head alone, contracted with the features; it is written out in
closed form, so nothing here needs a backward pass or a hook, and one batch can be read by many threads.
Knows nothing of trunks or pixels.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor, nn

from app.domain import ConvCamHead, EvidenceKind, HeadSpec, LinearHead, MlpHead
from app.errors import ManifestInvalid


class Head(nn.Module, ABC):
    """What every head can tell about itself."""

    evidence_kind: EvidenceKind
    margin_cells: float
    """Feature cells that the evidence grid lies inside the feature grid, on each side."""

    @abstractmethod
    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h', w') -> logits (B, K), evidence (B, K, h'', w'')."""

    @abstractmethod
    def pooled_logits(self, features: Tensor) -> Tensor:
        """The logits as the training script computes them, pooling first: (B, C, h', w') -> (B, K)."""

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

    def __init__(self, channels: int, class_count: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, class_count)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h', w') -> logits (B, K), evidence (B, K, h', w')."""
        evidence = at_every_cell(features, self.linear)
        return evidence.mean(dim=(2, 3)) + self.linear.bias, evidence

    def pooled_logits(self, features: Tensor) -> Tensor:
        """(B, C, h', w') -> (B, K)."""
        logits: Tensor = self.linear(features.mean(dim=(2, 3)))
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

    def __init__(self, channels: int, class_count: int, *, kernel_size: int, conv_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, conv_channels, kernel_size)
        self.linear = nn.Linear(conv_channels, class_count)
        self.margin_cells = (kernel_size - 1) / 2

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h', w') -> logits (B, K), evidence (B, K, h' - k + 1, w' - k + 1)."""
        evidence = at_every_cell(F.relu(self.conv(features)), self.linear)
        return evidence.mean(dim=(2, 3)) + self.linear.bias, evidence

    def pooled_logits(self, features: Tensor) -> Tensor:
        """(B, C, h', w') -> (B, K)."""
        logits: Tensor = self.linear(F.relu(self.conv(features)).mean(dim=(2, 3)))
        return logits

    def bias_of(self, features: Tensor) -> Tensor:  # noqa: ARG002 - the same for every image
        """(K,)."""
        return self.linear.bias


class AverageMlp(Head):
    """Average pooling, then linear layers with ReLU between.

    With p the pooled features and z_i the values before the i-th ReLU, the gradient of the logits is
    `W_n diag(z > 0) W_(n-1) ... diag(z > 0) W_1`, one (K, C) matrix per image. The evidence at a cell is
    that matrix times the cell's features; its mean is gradient . p, and `bias_of` is what remains.
    """

    evidence_kind: EvidenceKind = "gradient"
    margin_cells = 0.0

    def __init__(self, channels: int, class_count: int, *, hidden: Sequence[int]) -> None:
        super().__init__()
        widths = [channels, *hidden, class_count]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h', w') -> logits (B, K), evidence (B, K, h', w')."""
        logits, masks = self._pooled(features)
        gradient, _ = self._gradient_and_bias(masks)
        evidence = torch.einsum("bkc,bchw->bkhw", gradient, features)
        return logits, evidence

    def pooled_logits(self, features: Tensor) -> Tensor:
        """(B, C, h', w') -> (B, K)."""
        return self._pooled(features)[0]

    def bias_of(self, features: Tensor) -> Tensor:
        """(B, K): the layers' biases, carried through the ReLUs that are open for each image."""
        _, masks = self._pooled(features)
        return self._gradient_and_bias(masks)[1]

    def _pooled(self, features: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits (B, K), and per hidden layer which ReLUs are open, (B, width) as 0.0 or 1.0."""
        *earlier, last = self._linears()
        values = features.mean(dim=(2, 3))
        masks: list[Tensor] = []
        for layer in earlier:
            values = layer(values)
            masks.append((values > 0).to(values.dtype))
            values = F.relu(values)
        return last(values), masks

    def _linears(self) -> list[nn.Linear]:
        return [cast("nn.Linear", layer) for layer in self.layers]

    def _gradient_and_bias(self, masks: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """(B, K, C) and (B, K), from the last layer back to the first."""
        *earlier, last = self._linears()
        batch = masks[0].shape[0]
        gradient = last.weight.expand(batch, -1, -1)  # (B, K, width)
        bias = last.bias.expand(batch, -1)
        for layer, mask in zip(reversed(earlier), reversed(masks), strict=True):
            gradient = gradient * mask[:, None, :]
            bias = bias + gradient @ layer.bias
            gradient = gradient @ layer.weight
        return gradient, bias


def build_head(spec: HeadSpec, *, channels: int, class_count: int) -> Head:
    """A head with fresh weights for features of this many channels.

    Raises:
        ManifestInvalid: sizes that no head can have.
    """
    if class_count < 1:
        raise ManifestInvalid(f"a head needs at least one class, not {class_count}")
    match spec:
        case LinearHead():
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
