"""Promises of Keras' ResNet. tests/checkpoints compares it with Keras itself."""

import pytest
import torch
from torch import nn

from app.nets.architectures import get_architecture
from app.nets.recognition import fitting_architectures

NAMES = ["resnet50_v1", "resnet101_v1", "resnet152_v1"]


@pytest.mark.parametrize("name", NAMES)
def test_its_tensors_cannot_be_told_from_torchvisions(name: str) -> None:
    """Which is why it has a name of its own: nothing but the origin tells the two apart."""
    with torch.device("meta"):
        ours = get_architecture(name).build_trunk().state_dict()

    assert fitting_architectures(ours) == [name.removesuffix("_v1"), name]


@pytest.mark.parametrize("name", NAMES)
def test_a_block_halves_in_its_first_convolution(name: str) -> None:
    with torch.device("meta"):
        trunk = get_architecture(name).build_trunk()
    strided = {
        n: m.kernel_size for n, m in trunk.named_modules() if isinstance(m, nn.Conv2d) and 2 in m.stride
    }

    assert strided == {
        "conv1": (7, 7),
        **{f"layer{stage}.0.{at}": (1, 1) for stage in (2, 3, 4) for at in ("conv1", "downsample.0")},
    }
    assert {m.eps for m in trunk.modules() if isinstance(m, nn.BatchNorm2d)} == {1.001e-5}


def test_the_same_tensors_answer_otherwise_in_torchvisions_form() -> None:
    torch.manual_seed(0)
    theirs = get_architecture("resnet50").build_trunk().eval()
    ours = get_architecture("resnet50_v1").build_trunk().eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(1, 3, 64, 64)

    with torch.inference_mode():
        found, expected = ours(images), theirs(images)

    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) > 0.1 * float(expected.abs().max())
