"""Promises of heads of several layers, each against plain torch modules of the same layers."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from app.domain import ConcatPoolHead, FlattenHead, NetworkSpec, Size
from app.errors import WeightsRefused
from app.nets.architectures import ARCHITECTURES
from app.nets.mlp_heads import ConcatPoolMlp, FlattenMlp
from app.nets.recognition import head_in
from app.nets.servable import build_servable, load_servable, servable_state


class AdaptiveConcatPool2d(nn.Module):
    """fastai's: the maximum first."""

    def __init__(self) -> None:
        super().__init__()
        self.average = nn.AdaptiveAvgPool2d(1)
        self.maximum = nn.AdaptiveMaxPool2d(1)

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([self.maximum(features), self.average(features)], dim=1)


def features_of(*shape: int) -> Tensor:
    """As behind a ReLU: never negative, often zero, one channel wholly."""
    torch.manual_seed(3)
    features = torch.randn(*shape).relu()
    features[:, 0] = 0.0
    return features


def gradient_times_features(head: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, K, h, w): by autograd, times the number of cells."""
    with torch.enable_grad():
        leaf = features.detach().clone().requires_grad_()
        logits = head(leaf)
        maps = [
            (torch.autograd.grad(logits[:, k].sum(), leaf, retain_graph=True)[0] * leaf.detach()).sum(1)
            for k in range(logits.shape[1])
        ]
    return torch.stack(maps, 1) * features.shape[2] * features.shape[3]


@pytest.mark.parametrize("hidden", [(), (11,), (11, 9)])
@pytest.mark.parametrize("grid", [(1, 1), (4, 5)])
def test_maximum_and_average_side_by_side_equal_the_plain_modules(
    hidden: tuple[int, ...], grid: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    head = ConcatPoolMlp(6, 4, hidden=hidden).eval()
    between = [module for layer in head.layers for module in (layer, nn.ReLU())][:-1]
    plain = nn.Sequential(AdaptiveConcatPool2d(), nn.Flatten(), *between)
    features = features_of(3, 6, *grid)

    with torch.inference_mode():
        logits, evidence = head(features)
        explained = head.bias_of(features) + evidence.mean((2, 3))
        pooled = head.pooled_logits(features)

    torch.testing.assert_close(logits, plain(features).detach())
    torch.testing.assert_close(pooled, logits)
    torch.testing.assert_close(evidence, gradient_times_features(plain, features), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(explained, logits, rtol=1e-5, atol=1e-6)
    assert head.evidence_kind == "gradient"


def test_cells_that_share_a_maximum_share_its_gradient() -> None:
    """Saturated features tie; one cell of many equal ones would be an arbitrary explanation."""
    head = ConcatPoolMlp(1, 1, hidden=())
    with torch.no_grad():
        head.first.weight.copy_(torch.tensor([[1.0, 0.0]]))
        features = torch.tensor([[[[2.0, 2.0], [1.0, 0.0]]]])
        logits, evidence = head(features)

        assert evidence[0, 0].tolist() == [[4.0, 4.0], [0.0, 0.0]]
        assert float(logits - head.first.bias) == pytest.approx(2.0)


@pytest.mark.parametrize("classes", [3, 20])
def test_one_linear_layer_over_all_cells_is_served(classes: int) -> None:
    """Without hidden layers nothing is open or closed: the bias is the layer's own."""
    torch.manual_seed(0)
    head = FlattenMlp(4, classes, cells=3, hidden=()).eval()
    features = features_of(2, 4, 3, 3)

    with torch.inference_mode():
        logits, evidence = head(features)

    torch.testing.assert_close(logits, head.first(features.flatten(1)).detach())
    torch.testing.assert_close(head.bias_of(features), head.first.bias.expand(2, -1))
    torch.testing.assert_close(
        evidence, gradient_times_features(lambda a: head.first(a.flatten(1)), features), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("head", [FlattenHead(7), FlattenHead(7, (8,)), ConcatPoolHead((8,))], ids=str)
def test_a_head_is_told_from_others_by_what_its_first_layer_takes(
    head: FlattenHead | ConcatPoolHead,
) -> None:
    architecture = ARCHITECTURES["cifar_resnet14"]
    state = servable_state(build_servable(NetworkSpec("cifar_resnet14", 5, Size(32, 32), head)))

    assert head_in(state, architecture) == (head, 5)
    with pytest.raises(WeightsRefused, match=r"the head in the file is an? (flatten|concat_pool)_mlp head"):
        load_servable(NetworkSpec("cifar_resnet14", 5, Size(32, 32)), state)
