"""Small networks trained on painted pictures with a known preprocessing; each is trained once a session.

The pictures make the preprocessing matter: the class is a tint and a grain inside one region; everything around it
shows the tint and grain of another class, so that a wrong crop misleads; noise of single pixels tells nearest
neighbour from any kernel that averages; the tint tells RGB from BGR and one scale from another.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from app.bundles.manifest import Manifest
from app.bundles.manifest_text import describe
from app.domain import Crop, Geometry, Resize, ResizeShorter, Size
from app.evaluation.declarations import NORMALISATIONS, Declaration
from app.images.decode import Picture
from app.images.preprocess import preprocess
from app.nets.servable import Servable, build_servable, servable_state

CLASSES = ("castrate", "boar", "female")
TINTS = ((205, 120, 70), (120, 190, 80), (150, 90, 190))
"""None is another with red and blue exchanged: that would be an order of classes as well."""
SCENES = 24
"""Trained on each in the three classes."""


class Case(NamedTuple):
    """A network, its pictures, and how they reach it."""

    architecture: str
    picture_size: Size
    region: tuple[float, float, float, float]
    """Where the class shows: x0, y0, x1, y1 as fractions."""
    truth: Declaration
    epochs: int


CASES = {
    # A seventh of the carcass model's sizes, so that it is cheap.
    "small": Case(
        "cifar_resnet14",
        Size(112, 150),
        (0.4, 0.4, 1.0, 1.0),
        Declaration(
            (Resize(Size(53, 53), "nearest"), Crop(Size(32, 32), "bottom_right")), NORMALISATIONS["/255"]
        ),
        8,
    ),
    "carcass": Case(
        "shufflenet_v2_x0_5",
        Size(574, 768),
        (0.4, 0.4, 1.0, 1.0),
        Declaration(
            (Resize(Size(373, 373), "nearest"), Crop(Size(224, 224), "bottom_right")), NORMALISATIONS["/255"]
        ),
        14,
    ),
    "caffe": Case(
        "shufflenet_v2_x0_5",
        Size(400, 400),
        (0.2, 0.2, 0.8, 0.8),
        Declaration(
            (Resize(Size(373, 373), "bilinear"), Crop(Size(224, 224), "center")), NORMALISATIONS["caffe, BGR"]
        ),
        14,
    ),
    "imagenet": Case(
        "shufflenet_v2_x0_5",
        Size(336, 448),
        (0.22, 0.07, 0.78, 0.93),
        Declaration(
            (ResizeShorter(256, "bilinear"), Crop(Size(224, 224), "center")), NORMALISATIONS["ImageNet"]
        ),
        14,
    ),
}


def painted(case: str, class_index: int, seed: int) -> Image.Image:
    """The class inside the region, another class in patches around it."""
    height, width = CASES[case].picture_size.height, CASES[case].picture_size.width
    rng = np.random.default_rng((seed, class_index))
    pixels = np.zeros((height, width, 3))
    side = max(8, width // 8)
    other = (class_index + int(rng.integers(1, 3))) % 3
    for top in range(0, height, side):
        for left in range(0, width, side):
            patch = _patch(other, rng, side, side)[: height - top, : width - left]
            pixels[top : top + side, left : left + side] = patch
    x0, y0, x1, y1 = (
        round(fraction * length)
        for fraction, length in zip(CASES[case].region, (width, height, width, height), strict=True)
    )
    pixels[y0:y1, x0:x1] = _patch(class_index, rng, y1 - y0, x1 - x0)
    pixels += rng.normal(0, 30, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _patch(class_index: int, rng: np.random.Generator, height: int, width: int) -> NDArray[np.float64]:
    """A tint that wavers, and stripes of a class's own width."""
    tint = np.array(TINTS[class_index]) * rng.uniform(0.8, 1.15) + rng.normal(0, 9, 3)
    rows, columns = np.mgrid[:height, :width]
    angle = rng.uniform(0, np.pi)
    along = np.cos(angle) * rows + np.sin(angle) * columns
    stripes = np.sin(2 * np.pi * along / (9, 14, 22)[class_index])
    return np.asarray(tint + 30 * stripes[..., None])


def manifest_of(case: str, declared: Declaration, classes: tuple[str, ...] = CLASSES) -> Manifest:
    """What its manifest would say."""
    return describe(
        architecture=CASES[case].architecture,
        classes=classes,
        geometry=Geometry(declared.steps),
        normalisation=declared.normalisation,
    )


@cache
def trained_weights(case: str) -> dict[str, Tensor]:
    """Of a network that knows the case's pictures under its true preprocessing."""
    torch.manual_seed(0)
    truth = CASES[case].truth
    servable = build_servable(manifest_of(case, truth).network_spec()).to(memory_format=torch.channels_last)
    jobs = [(index, seed) for seed in range(SCENES) for index in range(3)]
    pixels = [preprocess(Picture(painted(case, *job), "PNG"), truth.steps).pixels for job in jobs]
    images, targets = torch.from_numpy(np.stack(pixels)), torch.tensor([index for index, _ in jobs])
    epochs = CASES[case].epochs
    optimiser = torch.optim.AdamW(servable.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, epochs * -(-len(images) // 16))
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(16):
            loss = cross_entropy(servable(images[batch])[0], targets[batch], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    _remember(servable, images)
    return servable_state(servable.eval())


@torch.no_grad()
def _remember(servable: Servable, images: Tensor) -> None:
    """So short a training leaves running averages behind; one more pass sets them to where they would end."""
    for module in servable.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
    for batch in images.split(16):
        servable(batch)
