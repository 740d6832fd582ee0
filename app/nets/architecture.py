"""What the registry knows of one architecture: its trunk, its grid of cells, and the head it ends in.

A trunk is everything before the average pooling: normalised images (B, 3, h, w) -> features
(B, C, h', w'), exactly what the training script's network pools. Its tensors are named as in that
network, so a state dict fits without renaming. Knows no classes and no normalisation.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from torch import nn

from app.domain import EvidenceKind, Size
from app.nets.heads import Head
from app.nets.layers import earlier_layers
from app.nets.naming import FC, HeadPlace


class Window(NamedTuple):
    """A convolution's or a pooling's window along one side, in pixels of its own input."""

    kernel: int
    stride: int = 1
    padding: int = 0
    rounds_up: bool = False
    """`ceil_mode` of a pooling: an incomplete last window counts."""

    def cells(self, side: int) -> int:
        """Outputs along a side of this many inputs; 0 where the window does not fit."""
        room = side + 2 * self.padding - self.kernel
        cells = -(-room // self.stride) + 1 if self.rounds_up else room // self.stride + 1
        if self.rounds_up and (cells - 1) * self.stride >= side + self.padding:
            cells -= 1  # a last window that would lie wholly in the padding is dropped
        return max(cells, 0)


HALVE_UP = Window(3, 2, 1)
"""3 x 3 with padding, also 5 x 5 and 7 x 7 with theirs: n -> ceil(n / 2)."""
HALVE_DOWN = Window(2, 2)
"""2 x 2 without padding: n -> floor(n / 2)."""
HALVINGS: dict[int, tuple[Window, ...]] = {4: (HALVE_UP,) * 2, 32: (HALVE_UP,) * 5}
"""By stride, for trunks that pad everywhere."""


@dataclass(frozen=True, slots=True)
class OwnForm:
    """The last layers of an architecture that are not average pooling and one linear layer."""

    build: Callable[[int], Head]
    """By class count."""
    evidence_kind: EvidenceKind
    target_layer: str
    """Whose cells the evidence's cells are, in the script's names."""


@dataclass(frozen=True)
class Architecture:
    """One trunk that a manifest may name."""

    name: str
    family: str
    build_trunk: Callable[[], nn.Module]
    """Fresh weights; under `torch.device("meta")` it allocates nothing."""
    feature_channels: int
    target_layer: str
    """The last convolutional stage, whose output the head pools."""
    stride: int
    """Input pixels from one feature cell to the next; cell i is centred on pixel stride * i where every
    window is padded."""
    summary: str
    windows: tuple[Window, ...] = ()
    """Every window that changes the grid, in order; empty: one halving that rounds up per power of two."""
    place: HeadPlace = FC
    """Where the script's network keeps its head."""
    own_head: OwnForm | None = None
    """None: average pooling and one linear layer, so that the linear head is its own."""
    training_only: tuple[str, ...] = ()
    """Prefixes of tensors that serving has no use for: auxiliary classifiers."""
    sign: tuple[str, int] | None = None
    """A tensor and its output channels: a quick sign that a state dict may be of this trunk."""
    extra: str | None = field(default=None)
    """The optional dependency of Lineside that it needs."""

    @property
    def evidence_kind(self) -> EvidenceKind:
        """Of its own head."""
        return "exact" if self.own_head is None else self.own_head.evidence_kind

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers of the trunk that can be looked at, from the picture on; the last is its end."""
        return (*earlier_layers(self.name, self.family), self.target_layer)

    @cached_property
    def least_side(self) -> int:
        """The smallest input side, in pixels, that leaves at least one cell."""
        return next(side for side in range(1, 1024) if self._cells(side))

    def grid(self, input_size: Size) -> Size:
        """Feature cells for an input of this size; zero where it is too small."""
        return Size(self._cells(input_size.height), self._cells(input_size.width))

    @cached_property
    def first_centre(self) -> float:
        """Input pixels from the input's edge to the centre of what the first cell looks at; cell i: + i * stride.

        Convolutions that are not among the windows are padded evenly and move nothing. 0.5, the middle of the
        first pixel, where every window is padded.
        """
        centre, step = 0.5, 1
        for window in self._windows:
            centre += ((window.kernel - 1) / 2 - window.padding) * step
            step *= window.stride
        return centre

    @property
    def _windows(self) -> tuple[Window, ...]:
        return self.windows or HALVINGS[self.stride]

    def _cells(self, side: int) -> int:
        for window in self._windows:
            side = window.cells(side)
            if side < 1:
                return 0
        return side


def modules_before(network: nn.Module, name: str) -> nn.Sequential:
    """A network's own modules up to, and without, this one, under their names, run one after another."""
    before: OrderedDict[str, nn.Module] = OrderedDict()
    for each, module in network.named_children():
        if each == name:
            return nn.Sequential(before)
        before[each] = module
    raise AssertionError(name)
