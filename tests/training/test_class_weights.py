"""A rare class weighs as much as a common one, over the whole epoch."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from app.training.batches import batches_of
from app.training.optimisation import class_weights, weighted_cross_entropy


def test_balanced_classes_weigh_as_much_together_as_before() -> None:
    weights = class_weights([30, 10, 20])

    assert (weights * torch.tensor([30.0, 10.0, 20.0])).tolist() == pytest.approx([20.0, 20.0, 20.0])


def test_each_class_has_its_share_of_the_gradient() -> None:
    """Of 300 and 3 pictures, summed over an epoch of batches that mostly show none of the rare class."""
    labels = torch.tensor([0] * 300 + [1] * 3)
    weights = class_weights([300, 3])
    logits = torch.zeros(303, 2, requires_grad=True)

    for batch in batches_of(np.arange(303), 8, seed=0, epoch=0):
        weighted_cross_entropy(logits[batch], labels[batch], weights=weights).backward()

    assert logits.grad is not None
    pull = logits.grad.abs().sum(1)  # (N,)
    share = float(pull[labels == 1].sum() / pull.sum())
    assert share == pytest.approx(0.5, abs=0.03)  # batches differ in size by one picture


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_classes_of_equal_weight_change_nothing(label_smoothing: float) -> None:
    logits, targets = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])

    torch.testing.assert_close(
        weighted_cross_entropy(logits, targets, weights=torch.ones(3), label_smoothing=label_smoothing),
        functional.cross_entropy(logits, targets, label_smoothing=label_smoothing),
    )
