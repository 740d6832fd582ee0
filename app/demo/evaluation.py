"""How good the demo network is: does it name the class, and does it look at the cue?"""

from dataclasses import dataclass

import torch

from app.demo.painted_set import PaintedSet
from app.domain import Affine
from app.nets.architectures import get_architecture
from app.nets.servable import Servable

BATCH = 30


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


@torch.inference_mode()
def evaluate(servable: Servable, painted: PaintedSet) -> Score:
    """Predict every picture as it would be served, and compare with the truth."""
    stride = get_architecture(servable.spec.architecture).stride
    training = servable.training
    servable.eval()
    named = pointed = 0
    for start in range(0, len(painted.images), BATCH):
        logits, evidence = servable(torch.from_numpy(painted.images[start : start + BATCH]))
        predicted = logits.argmax(1)
        named += int((predicted == torch.from_numpy(painted.targets[start : start + BATCH])).sum())
        for number, class_index in enumerate(predicted.tolist()):
            row, column = peak(evidence[number, class_index], stride, painted.to_painting)
            pointed += int(painted.cue_mask(start + number)[row, column])
    servable.train(training)
    count = len(painted.images)
    return Score(count=count, accuracy=named / count, pointing=pointed / count)


def peak(evidence: torch.Tensor, stride: int, to_painting: Affine) -> tuple[int, int]:
    """The painting's pixel (row, column) under the middle of the map's largest cell; the map is (h', w')."""
    cell_row, cell_column = divmod(int(evidence.argmax()), evidence.shape[1])
    # Cell i is centred on input pixel stride * i, whose own centre is half a pixel further.
    row = to_painting.scale_y * (stride * cell_row + 0.5) + to_painting.offset_y
    column = to_painting.scale_x * (stride * cell_column + 0.5) + to_painting.offset_x
    return int(row), int(column)
