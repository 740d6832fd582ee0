"""Promises of the architectures that a manifest may name."""

import pytest
import torch
from torchvision import models

from app.domain import NetworkSpec, Size
from app.errors import ManifestInvalid
from app.nets.architectures import ARCHITECTURES, get_architecture
from app.nets.servable import build_servable, noise_images, servable_state

RESNETS = [
    name for name, each in ARCHITECTURES.items() if each.family in {"resnet", "resnext", "wide_resnet"}
]
"""The other families have a test file of their own."""


@pytest.mark.parametrize("name", RESNETS)
def test_a_training_scripts_state_dict_has_the_names_and_shapes_we_serve(name: str) -> None:
    """torchvision's own model with 7 classes, and ours, list the same tensors."""
    with torch.device("meta"):
        theirs = models.get_model(name, weights=None, num_classes=7).state_dict()
        ours = servable_state(build_servable(NetworkSpec(name, 7, Size(64, 64))))

    assert {n: t.shape for n, t in ours.items()} == {n: t.shape for n, t in theirs.items()}


@pytest.mark.parametrize("name", [*RESNETS, "cifar_resnet14"])
@pytest.mark.parametrize("size", [Size(64, 64), Size(225, 97)])
def test_the_registry_tells_channels_and_grid_as_they_are(name: str, size: Size) -> None:
    architecture = get_architecture(name)
    grid = architecture.grid(size)
    with torch.device("meta"):
        trunk = architecture.build_trunk().eval()
        features = trunk(torch.empty(1, 3, size.height, size.width))

    assert features.shape == (1, architecture.feature_channels, grid.height, grid.width)
    assert architecture.target_layer in dict(trunk.named_children())


def test_an_unknown_name_is_answered_with_the_nearest_known() -> None:
    with pytest.raises(ManifestInvalid, match=r"'ResNet-50'.*resnet50"):
        get_architecture("ResNet-50")
    with pytest.raises(ManifestInvalid, match=r"known: resnet18.*cifar_resnet14"):
        get_architecture("zzz")


def test_every_architecture_says_what_it_is() -> None:
    assert len(ARCHITECTURES) == 76
    for name, architecture in ARCHITECTURES.items():
        assert architecture.name == name
        assert architecture.summary


def test_the_small_network_has_fourteen_layers_and_counted_weights() -> None:
    """3-16 conv, 2 blocks each at 16, 32, 64 with 1 x 1 shortcuts, 64-10 linear: 175,258 weights."""
    servable = build_servable(NetworkSpec("cifar_resnet14", 10, Size(32, 32)))
    weights = sum(parameter.numel() for parameter in servable.parameters())
    layers = [n for n, t in servable_state(servable).items() if t.dim() > 1 and "downsample" not in n]

    logits, evidence = servable(noise_images(Size(32, 32), 2))

    # conv1 + bn1, then layer1, layer2, layer3 by hand, then fc.
    assert weights == 464 + 9_344 + 33_088 + 131_712 + 650
    assert len(layers) == 14
    assert logits.shape == (2, 10)
    assert evidence.shape == (2, 10, 8, 8)


def test_the_small_network_is_the_one_described() -> None:
    """Against the description written out plainly, on the same tensors, in training mode."""
    torch.manual_seed(0)
    trunk = get_architecture("cifar_resnet14").build_trunk()
    tensors = trunk.state_dict()
    images = torch.randn(4, 3, 20, 20)

    def conv(x: torch.Tensor, name: str, norm: str, stride: int = 1) -> torch.Tensor:
        weight = tensors[f"{name}.weight"]
        x = torch.nn.functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
        return torch.nn.functional.batch_norm(
            x, None, None, tensors[f"{norm}.weight"], tensors[f"{norm}.bias"], training=True
        )

    expected = conv(images, "conv1", "bn1").relu()
    for stage, stride in (("layer1", 1), ("layer2", 2), ("layer3", 2)):
        for block in (0, 1):
            at, step = f"{stage}.{block}", stride if block == 0 else 1
            inner = conv(expected, f"{at}.conv1", f"{at}.bn1", step).relu()
            inner = conv(inner, f"{at}.conv2", f"{at}.bn2")
            has_shortcut = f"{at}.downsample.0.weight" in tensors
            shortcut = (
                conv(expected, f"{at}.downsample.0", f"{at}.downsample.1", step) if has_shortcut else expected
            )
            expected = (inner + shortcut).relu()

    torch.testing.assert_close(trunk(images), expected, rtol=1e-5, atol=1e-5)
    assert [n for n in tensors if n.endswith("downsample.0.weight")] == [
        "layer2.0.downsample.0.weight",
        "layer3.0.downsample.0.weight",
    ]
