"""The small residual network for images of a few dozen pixels.

images (B, 3, h, w) -> features (B, 64, h/4, w/4), rounded up

He et al. 2016, section 4.2, depth 6n + 2 with n = 2 (arXiv 1512.03385), except that the shortcut is a
1 x 1 convolution wherever shapes change (their option B) instead of padding with zeros. Tensor names
follow torchvision's ResNet.
"""

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

STAGE_CHANNELS = (16, 32, 64)


def _stage(in_channels: int, out_channels: int, *, stride: int) -> nn.Sequential:
    shortcut: nn.Module | None = None
    if stride != 1 or in_channels != out_channels:
        shortcut = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
            nn.BatchNorm2d(out_channels),
        )
    return nn.Sequential(
        BasicBlock(in_channels, out_channels, stride, shortcut),
        BasicBlock(out_channels, out_channels),
    )


class CifarResNetTrunk(nn.Module):
    """Everything before the average pooling."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third = STAGE_CHANNELS
        self.conv1 = nn.Conv2d(3, first, kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _stage(first, first, stride=1)
        self.layer2 = _stage(first, second, stride=2)
        self.layer3 = _stage(second, third, stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) normalised -> (B, 64, h/4, w/4)."""
        out = self.relu(self.bn1(self.conv1(images)))
        features: Tensor = self.layer3(self.layer2(self.layer1(out)))
        return features
