"""The libraries' own networks with random weights whose numbers look like a trained one's, and ours beside them."""

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.transforms import functional

from app.domain import HeadSpec, NetworkSpec, Normalisation, OwnHead, Size
from app.nets.architectures import ARCHITECTURES

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGENET = Normalisation(mean=MEAN, std=STD)

BY_DEFAULT = (
    "alexnet", "vgg11_bn", "squeezenet1_1", "densenet121", "inception_v3", "googlenet", "shufflenet_v2_x0_5",
    "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5", "efficientnet_b0", "convnext_tiny", "legacy_seresnet50",
    "seresnet50", "dpn68", "legacy_xception",
)  # fmt: skip
"""One small network of each family besides ResNet; their larger siblings are tested under the marker `slow`."""

SIZES = {"alexnet": 80, "inception_v3": 107, "efficientnet_b0": 96}
"""Input sides in pixels; 64 where none is named."""


def library_network(name: str, classes: int = 5) -> nn.Module:
    """As a training script would build it."""
    if ARCHITECTURES[name].extra == "zoo":
        import timm  # noqa: PLC0415 - half a second

        return timm.create_model(name, pretrained=False, num_classes=classes)
    options = {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}
    return models.get_model(name, weights=None, num_classes=classes, **options)


def script_network(name: str, classes: int = 5) -> nn.Module:
    """The library's network with weights that keep activations near one, and statistics from noise."""
    with torch.device("meta"):
        network = library_network(name, classes)
    network = network.to_empty(device="cpu").eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter_name, parameter in network.named_parameters():
            if parameter.dim() in {2, 4}:
                parameter.normal_(0.0, (2.0 / parameter[0].numel()) ** 0.5)
            elif parameter_name.endswith("bias"):
                parameter.uniform_(0.2, 1.0)
            else:
                parameter.uniform_(0.3, 1.0)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None
                module.train()
        network(script_input(pictures(Size(SIZES.get(name, 64), SIZES.get(name, 64)), 8, seed=9)))
    return network.eval()


def pictures(size: Size, count: int = 2, *, seed: int = 0) -> Tensor:
    """Random blocks, (count, h, w, 3) uint8.

    Behind plain noise all cells and images look alike; batch statistics then divide by next to nothing, and
    EfficientNet's own float32 answer is 1e-3 off its float64 one.
    """
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.randint(256, (count, 3, 7, 7), dtype=torch.uint8, generator=generator)
    return nn.functional.interpolate(blocks, (size.height, size.width)).permute(0, 2, 3, 1).contiguous()


def spec_of(name: str, head: HeadSpec | None = None, classes: int = 5) -> NetworkSpec:
    """The architecture with its own head, at its test size."""
    side = SIZES.get(name, 64)
    return NetworkSpec(name, classes, Size(side, side + 9), head or OwnHead(), IMAGENET)


def script_input(images: Tensor, mean: tuple[float, ...] = MEAN, std: tuple[float, ...] = STD) -> Tensor:
    """What a training script feeds: (B, 3, h, w) through torchvision's own transforms."""
    scaled = torch.stack([functional.to_tensor(image.numpy()) for image in images])
    return functional.normalize(scaled, list(mean), list(std))


def relative_error(found: Tensor, expected: Tensor) -> float:
    """The largest difference, as a share of the largest value expected."""
    assert float(expected.detach().abs().max()) > 0.01, "degenerate reference"
    return float((found - expected).detach().abs().max() / expected.detach().abs().max())
