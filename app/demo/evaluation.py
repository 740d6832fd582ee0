"""How good the demo network is: does it name the class, and does it look at the cue?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from app.demo.painted_set import PaintedSet
from app.domain import Affine, Size
from app.explain.maps import cell_to_input, cell_to_input_by_receptive_field
from app.images.heat import upsampled
from app.nets.architectures import get_architecture
from app.nets.servable import Servable

BATCH = 30
Alignment = Literal["half_pixel", "receptive_field"]
DEFAULT: Alignment = "receptive_field"
"""docs/adr/0005."""


@dataclass(frozen=True, slots=True)
class Score:
    """Shares of `count` pictures, 0..1."""

    count: int
    accuracy: float
    pointing: float
    """Pointing game (Zhang et al. 2018, sec. 4): the largest cell of the predicted class's map lies on the cue."""

    def __str__(self) -> str:
        """For people."""
        return f"accuracy {self.accuracy:.1%}, pointing game {self.pointing:.1%} ({self.count} pictures)"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one picture's map lies, against the cue; distances in the painting's pixels."""

    is_pointing: bool
    """The largest cell's centre lies in the cue's mask."""
    share_inside: float
    """Of the positive evidence, how much lies in the cue's mask."""
    peak: tuple[float, float]
    """From the middle of the mask to the largest cell's centre: x, y."""
    hottest: tuple[float, float]
    """From the middle of the mask to the centroid of the evidence above half of the peak."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out for every picture."""

    is_right: tuple[bool, ...]
    places: Mapping[Alignment, tuple[Place, ...]]

    def score(self, alignment: Alignment = DEFAULT) -> Score:
        """The two shares that a demo model is measured by."""
        places = self.places[alignment]
        return Score(
            count=len(places),
            accuracy=float(np.mean(self.is_right)),
            pointing=float(np.mean([place.is_pointing for place in places])),
        )


def alignments(servable: Servable) -> dict[Alignment, Affine]:
    """From the grid of the evidence to the network's input, by either rule."""
    architecture, size = get_architecture(servable.spec.architecture), servable.spec.input_size
    trunk, margin = architecture.grid(size), servable.margin_cells
    grid = Size(round(trunk.height - 2 * margin), round(trunk.width - 2 * margin))
    return {
        "half_pixel": cell_to_input(size, grid, margin_cells=margin),
        "receptive_field": cell_to_input_by_receptive_field(
            stride=architecture.stride, first_centre=architecture.first_centre, margin_cells=margin
        ),
    }


@torch.inference_mode()
def evaluate(servable: Servable, painted: PaintedSet) -> Evaluation:
    """Predict every picture as it would be served, and compare with the truth."""
    to_painting = {name: to.then(painted.to_painting) for name, to in alignments(servable).items()}
    training = servable.training
    servable.eval()
    is_right: list[bool] = []
    places: dict[Alignment, list[Place]] = {name: [] for name in to_painting}
    for start in range(0, len(painted.images), BATCH):
        logits, evidence = servable(torch.from_numpy(painted.images[start : start + BATCH]))
        predicted = logits.argmax(1)
        is_right += (predicted == torch.from_numpy(painted.targets[start : start + BATCH])).tolist()
        for number, class_index in enumerate(predicted.tolist()):
            heat = evidence[number, class_index].numpy()
            mask = painted.cue_mask(start + number)
            for name, to in to_painting.items():
                places[name].append(place(heat, to, mask))
    servable.train(training)
    return Evaluation(tuple(is_right), {name: tuple(row) for name, row in places.items()})


def place(heat: NDArray[np.float32], to_painting: Affine, mask: NDArray[np.bool_]) -> Place:
    """The map (h', w') at this place, against the mask (574, 768)."""
    cell_row, cell_column = divmod(int(heat.argmax()), heat.shape[1])
    x = to_painting.scale_x * (cell_column + 0.5) + to_painting.offset_x
    y = to_painting.scale_y * (cell_row + 0.5) + to_painting.offset_y
    height, width = mask.shape
    field = upsampled(heat.clip(min=0), to_painting, columns=range(width), rows=range(height))
    total = float(field.sum())
    middle_x, middle_y = centroid(mask.astype(np.float32))
    hot_x, hot_y = centroid(np.where(field >= field.max() / 2, field, 0))
    return Place(
        is_pointing=bool(mask[min(max(int(y), 0), height - 1), min(max(int(x), 0), width - 1)]),
        share_inside=float(field[mask].sum()) / total if total > 0 else 0.0,
        peak=(x - middle_x, y - middle_y),
        hottest=(hot_x - middle_x, hot_y - middle_y),
    )


def centroid(weights: NDArray[np.float32]) -> tuple[float, float]:
    """x, y of the middle of these weights, 0 where there are none; pixel centres are at + 0.5."""
    total = float(weights.sum(dtype=np.float64)) or 1.0
    x = float(weights.sum(axis=0, dtype=np.float64) @ (np.arange(weights.shape[1]) + 0.5)) / total
    y = float(weights.sum(axis=1, dtype=np.float64) @ (np.arange(weights.shape[0]) + 0.5)) / total
    return x, y
