"""Which part of a network learns in which epoch.

servable + plan + epoch -> trainable parameters, and modules whose batch norms keep their statistics

A frozen part is in eval mode: its batch norms neither learn nor drift, or the "frozen" trunk would answer
otherwise after training although none of its weights moved.
"""

from collections.abc import Sequence
from typing import Final

from torch import nn

from app.nets.servable import Servable
from app.training.configuration import Training

NEARLY_ALL: Final = 0.95
"""Of the parameters: a child with more is the trunk, beside some stem."""


def stages(trunk: nn.Module) -> list[list[nn.Module]]:
    """The trunk in the parts that are thawed one after another, first to last.

    A stage begins at a module that holds several convolutions (a ResNet's layer4, a DenseNet's last block, an
    Inception's Mixed_7c) or, in networks of single convolutions (VGG), behind a pooling. What comes before
    the first stage belongs to it.
    """
    parts = _parts(trunk)
    is_block = [sum(isinstance(each, nn.Conv2d) for each in part.modules()) > 1 for part in parts]
    if any(is_block):
        starts = [number for number, block in enumerate(is_block) if block]
    else:
        pools = [
            number + 1 for number, part in enumerate(parts) if isinstance(part, nn.MaxPool2d | nn.AvgPool2d)
        ]
        starts = [start for start in (0, *pools) if any(_learns(part) for part in parts[start:])]
    starts = [0, *starts[1:]]
    return [parts[start:end] for start, end in zip(starts, [*starts[1:], len(parts)], strict=True)]


def thaw(servable: Servable, plan: Training, epoch: int) -> None:
    """Sets what learns in this epoch (from 0): `requires_grad`, and training mode against eval mode."""
    parts = stages(servable.trunk)
    match plan.freeze:
        case "head":
            count = 0
        case "layer4":
            count = 1
        case "none":
            count = len(parts)
        case "gradual":
            # Howard and Ruder 2018 (arXiv 1801.06146), section 3.3: from the last layer backwards.
            count = min(epoch // plan.unfreeze_every_epochs, len(parts))
    servable.eval().requires_grad_(requires_grad=False)
    for module in [servable.head, *_flat(parts[len(parts) - count :])]:
        module.train().requires_grad_(requires_grad=True)


def _flat(parts: Sequence[list[nn.Module]]) -> list[nn.Module]:
    return [module for part in parts for module in part]


def _parts(trunk: nn.Module) -> list[nn.Module]:
    """Its children; where nearly all of it is in one of them (`features`, `blocks`), that one's in its place."""
    parts = list(trunk.children())
    sizes = [sum(each.numel() for each in part.parameters()) for part in parts]
    at = sizes.index(max(sizes))
    if sizes[at] > NEARLY_ALL * sum(sizes) and list(parts[at].children()):
        return [*parts[:at], *_parts(parts[at]), *parts[at + 1 :]]
    return parts


def _learns(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None
