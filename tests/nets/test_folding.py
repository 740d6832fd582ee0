"""A trunk with its batch norms folded computes what the trunk does, and disturbs nobody."""

import threading

import pytest
import torch
from torch import nn

from app.nets.architectures import get_architecture
from app.nets.folding import folded


@pytest.fixture(autouse=True)
def _same_weights() -> None:
    """Few random trunks magnify the rounding of their weights so far that no tolerance is right for them."""
    torch.manual_seed(0)


def trained(trunk: nn.Module) -> nn.Module:
    """With norms that do something, ready for inference."""
    for module in trunk.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            module.momentum = None
    trunk(torch.randn(4, 3, 64, 64))
    return trunk.eval().requires_grad_(requires_grad=False)


def norms_in(trunk: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in trunk.modules())


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("resnet18", 0),
        ("resnext50_32x4d", 0),
        ("densenet121", 62),  # which come before the convolutions
        ("mobilenet_v3_small", 0),
        ("efficientnet_b0", 0),
        ("convnext_tiny", 0),
    ],
)
def test_it_computes_what_the_trunk_does(name: str, left: int) -> None:
    """At another size than that of the picture as well: whole pictures take it too."""
    trunk = trained(get_architecture(name).build_trunk())
    before = {key: value.clone() for key, value in trunk.state_dict().items()}

    found = folded(trunk, torch.randn(1, 3, 64, 64))

    assert norms_in(found) == left
    assert all(torch.equal(value, before[key]) for key, value in trunk.state_dict().items())
    images = torch.randn(2, 3, 64, 96)
    expected, answer = trunk.double()(images.double()), found.double()(images.double())
    assert float((answer - expected).abs().max()) <= 1e-4 * float(expected.abs().max())


def test_a_trunk_that_magnifies_its_rounding_is_folded_too() -> None:
    """Some with random weights do: compared in float32, they would be taken for wrongly folded."""
    layers: list[nn.Module] = []
    for _ in range(7):
        layers += [nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), Stretched()]
    trunk = trained(nn.Sequential(*layers))
    images = torch.randn(1, 3, 8, 8)

    found = folded(trunk, images)

    assert norms_in(found) == 0
    assert float((found(images) - trunk(images)).abs().max()) > 1e-3 * float(trunk(images).abs().max())


class Stretched(nn.Module):
    """Four times as far apart after it as before, at most, and between -1 and 1: a few of them show the last bits."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.sin(4 * images)


class UsedTwice(nn.Module):
    """The convolution's answer goes around its norm as well."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        answer = self.convolution(images)
        return torch.sin(answer) + self.norm(answer)


class RunTwice(UsedTwice):
    """One norm for the answers of two passes."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(self.convolution(images)) + self.norm(self.convolution(-images))


class Choosing(nn.Sequential):
    """What torch.fx cannot trace."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images if float(images.sum()) > 0 else -images)


@pytest.mark.parametrize("trunk", [UsedTwice(), RunTwice()], ids=["used twice", "run twice"])
def test_a_norm_that_cannot_be_folded_stays(trunk: nn.Module) -> None:
    images = torch.randn(1, 3, 64, 64)

    found = folded(trained(trunk), images)

    assert norms_in(found) == 1
    assert torch.equal(found(images), trunk(images))


def test_a_trunk_that_decides_as_it_runs_is_folded_too() -> None:
    trunk = trained(Choosing(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))

    found = folded(trunk, torch.randn(1, 3, 64, 64))

    assert norms_in(found) == 0


def test_a_model_that_answers_meanwhile_is_not_disturbed() -> None:
    """Tracing by torch.fx makes it fail: "module is not installed as a submodule"."""
    trunk, other = (trained(get_architecture("resnet18").build_trunk()) for _ in range(2))
    images = torch.randn(1, 3, 64, 64)
    errors: list[Exception] = []
    answered = threading.Event()
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            try:
                other(images)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
                errors.append(error)
            answered.set()

    server = threading.Thread(target=serve)
    server.start()
    answered.wait(30)
    for _ in range(5):
        folded(trunk, images)
    stopping.set()
    server.join()

    assert errors == []
