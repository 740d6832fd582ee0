"""The optimiser of a configuration, its learning rate at any moment, and what a class weighs in the loss.

The rate is a function of the time alone, so a training that was interrupted needs nothing to go on with it.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from app.training.configuration import Optimiser, Schedule


def build_optimiser(module: nn.Module, how: Optimiser) -> Optimizer:
    """Over all parameters; those that do not learn yet have no gradient and are passed over."""
    kernels = [each for each in module.parameters() if each.ndim > 1]
    # Decay pulls towards zero, which means something for a kernel and nothing for a batch norm's gain.
    others = [each for each in module.parameters() if each.ndim <= 1]
    groups = [
        {"params": kernels, "weight_decay": how.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    match how.name:
        case "sgd":
            return torch.optim.SGD(
                groups, how.learning_rate, momentum=how.momentum, nesterov=how.momentum > 0
            )
        case "adam":
            return torch.optim.Adam(groups, how.learning_rate)
        case "adamw":
            return torch.optim.AdamW(groups, how.learning_rate)


def learning_rate(peak: float, schedule: Schedule, step: int, *, steps_per_epoch: int, epochs: int) -> float:
    """Of this step, counted from 0 over all epochs.

    step: Keras' and torch's StepLR; cosine: Loshchilov and Hutter 2016 (arXiv 1608.03983), equation 5, one cycle.
    """
    warmup = schedule.warmup_epochs * steps_per_epoch
    if step < warmup:
        return peak * min((step + 1) / warmup, 1.0)
    match schedule.decay:
        case "none":
            return peak
        case "step":
            return peak * float(schedule.step_factor ** (step // steps_per_epoch // schedule.step_epochs))
        case "cosine":
            rest = max(epochs * steps_per_epoch - warmup, 1.0)
            return peak * 0.5 * (1.0 + math.cos(math.pi * min((step - warmup) / rest, 1.0)))


def class_weights(counts: Sequence[int]) -> Tensor:
    """(K,): N / (K n_c), as scikit-learn's `balanced`; all classes together weigh what they did."""
    numbers = torch.tensor(counts, dtype=torch.float32)
    return numbers.sum() / (len(counts) * numbers)


def weighted_cross_entropy(
    logits: Tensor, targets: Tensor, *, weights: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """(B, K), (B,), (K,) -> (): the mean over the batch's pictures, each multiplied by what its class weighs.

    torch's own `weight=` divides by what the batch's pictures weigh together, so that a rare class weighs little in
    every batch that shows none of it or few: of 3,000 and 30 pictures in batches of 32 the rare ones made 0.21 of the
    gradient, not half.
    """
    losses = functional.cross_entropy(
        logits, targets, reduction="none", label_smoothing=label_smoothing
    )  # (B,)
    return (losses * weights[targets]).mean()
