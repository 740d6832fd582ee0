"""Batch norms folded into the convolutions before them: a pass over the activations less each, and one rounding less.

trunk, one normalised picture (1, 3, h, w) -> a copy of the trunk that computes the same

Which norm follows which convolution is seen in one forward pass: it is given the very tensor that the convolution
answered. torch.fx would read it off a trace, but while it traces, `nn.Module.__call__` is another one for the whole
process, so that a model which answers meanwhile fails.
"""

import copy
import logging
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

log = logging.getLogger(__name__)

TOLERANCE: Final = 1e-6
"""Largest difference on the picture, as a share of the largest number, in float64: below 1e-12 where the folding is right. Where
a convolution's answer is used without its norm as well, which no module shows, it is near 1. In float32 the two cannot be
told apart: trunks with random weights have been seen that make 1e-3 out of its rounding alone."""


@torch.no_grad()
def folded(trunk: nn.Module, images: Tensor) -> nn.Module:
    """A copy with its batch norms folded, or a plain copy where folding them would change what it computes.

    Args:
        trunk: for inference (`eval`).
        images: (1, 3, h, w), on its device and in its precision, normalised.
    """
    exact, pictures = copy.deepcopy(trunk).double(), images.double()
    pairs, expected = _pairs(exact, pictures)
    for convolution, norm in pairs:
        one, other = exact.get_submodule(convolution), exact.get_submodule(norm)
        assert isinstance(one, nn.Conv2d)  # noqa: S101 - as `_pairs` says
        assert isinstance(other, nn.BatchNorm2d)  # noqa: S101
        exact.set_submodule(convolution, fuse_conv_bn_eval(one, other))
        exact.set_submodule(norm, nn.Identity())
    found: Tensor = exact(pictures)
    if float((found - expected).abs().max()) <= TOLERANCE * float(expected.abs().max()):
        return exact.to(images.dtype)
    log.info("a %s computes otherwise with its batch norms folded; they stay apart", type(trunk).__name__)
    return copy.deepcopy(trunk)


def _pairs(trunk: nn.Module, images: Tensor) -> tuple[list[tuple[str, str]], Tensor]:
    """Names of convolutions and of the norms given their answers, each run once for a picture; what the trunk computes."""
    answered: list[tuple[str, Tensor]] = []
    pairs: list[tuple[str, str]] = []
    calls = Counter[str]()

    def answers(name: str, _module: nn.Module, _given: tuple[Tensor, ...], answer: Tensor) -> None:
        calls[name] += 1
        answered.append((name, answer))

    def is_given(name: str, _module: nn.Module, given: tuple[Tensor, ...]) -> None:
        calls[name] += 1
        pairs.extend((convolution, name) for convolution, answer in answered if answer is given[0])

    removes: list[Callable[[], None]] = []
    for name, module in trunk.named_modules():
        if type(module) is nn.Conv2d:
            removes.append(module.register_forward_hook(partial(answers, name)).remove)
        elif type(module) is nn.BatchNorm2d:
            removes.append(module.register_forward_pre_hook(partial(is_given, name)).remove)
    features: Tensor = trunk(images)
    for remove in removes:
        remove()
    return [pair for pair in pairs if calls[pair[0]] == calls[pair[1]] == 1], features
