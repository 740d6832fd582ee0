"""Where a cell looks: what the registry says of its windows, against gradients through the network itself."""

import math

import pytest
import torch
from torch import nn

from app.nets.architecture import HALVINGS, Window
from app.nets.architectures import ARCHITECTURES


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_windows_strides_multiply_to_the_trunks(name: str) -> None:
    """Else cells would drift from what they look at."""
    architecture = ARCHITECTURES[name]
    windows = architecture.windows or HALVINGS[architecture.stride]

    assert math.prod(window.stride for window in windows) == architecture.stride


def evenly_weighted(trunk: nn.Module) -> nn.Module:
    """The same windows with weights that are all alike, so that a gradient's middle is the window's."""
    for module in trunk.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):  # its gradient would follow one pixel of the window
                mean = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, ceil_mode=child.ceil_mode)
                setattr(module, name, mean)
            elif isinstance(child, nn.Conv2d):
                nn.init.constant_(child.weight, 1 / child.weight[0].numel())
                if child.bias is not None:
                    nn.init.zeros_(child.bias)
    return trunk.eval()


@pytest.mark.parametrize(
    ("name", "side", "centre"),
    [
        ("cifar_resnet14", 160, 0.5),
        ("alexnet", 320, 31.5),
        ("squeezenet1_0", 336, 17.5),
        ("vgg11", 192, 16.0),
    ],
)
def test_a_cells_gradient_is_centred_where_the_registry_says(name: str, side: int, centre: float) -> None:
    """On a cell in the middle, whose window lies within the picture."""
    architecture = ARCHITECTURES[name]
    image = torch.ones(1, 3, side, side, requires_grad=True)
    features = evenly_weighted(architecture.build_trunk())(image)
    cell = features.shape[-1] // 2

    (gradient,) = torch.autograd.grad(features[0, 0, cell, cell], image)

    along = gradient[0].sum((0, 1), dtype=torch.float64)
    found = float((along * (torch.arange(side) + 0.5)).sum() / along.sum())
    assert architecture.first_centre == centre
    assert found == pytest.approx(centre + architecture.stride * cell, abs=0.05)


def test_patches_are_centred_in_themselves() -> None:
    """ConvNeXt's windows neither overlap nor pad; a ResNet's are padded evenly and start on the first pixel."""
    assert ARCHITECTURES["convnext_tiny"].windows[0] == Window(4, 4)
    assert ARCHITECTURES["convnext_tiny"].first_centre == 16.0
    assert ARCHITECTURES["resnet50"].first_centre == 0.5
    assert ARCHITECTURES["inception_v3"].first_centre == 37.5
