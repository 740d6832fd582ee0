"""Small networks trained on painted pictures with a known preprocessing.

The pictures make the preprocessing matter: the class is a tint and a grain inside one region; every other region
shows the tint and grain of some other class, so that a wrong crop misleads; noise of single pixels tells nearest
neighbour from any kernel that averages; the tint tells RGB from BGR and one scale from another.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

from app.bundles.manifest_text import describe
from app.bundles.repository import Bundle
from app.bundles.writer import write_bundle
from app.domain import Geometry, Normalisation, Step
from app.images.decode import Picture
from app.images.preprocess import preprocess
from app.nets.servable import build_servable, servable_state

CLASSES = ("castrate", "boar", "female")
TINTS = ((205, 120, 70), (120, 190, 80), (80, 115, 200))
Region = tuple[float, float, float, float]
"""x0, y0, x1, y1 as fractions."""


def painted(class_index: int, seed: int, region: Region, *, width: int, height: int) -> Image.Image:
    """The class inside the region, other classes in patches around it."""
    rng = np.random.default_rng((seed, class_index))
    pixels = np.full((height, width, 3), 90.0)
    side = max(8, width // 8)
    for top in range(0, height, side):
        for left in range(0, width, side):
            other = (class_index + int(rng.integers(1, 3))) % 3
            pixels[top : top + side, left : left + side] = _patch(other, rng, side, side)[
                : height - top, : width - left
            ]
    x0, y0, x1, y1 = (round(f * s) for f, s in zip(region, (width, height, width, height), strict=True))
    pixels[y0:y1, x0:x1] = _patch(class_index, rng, y1 - y0, x1 - x0)
    pixels += rng.normal(0, 30, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _patch(class_index: int, rng: np.random.Generator, height: int, width: int) -> NDArray[np.float64]:
    """A tint that wavers, and stripes of a class's own width."""
    tint = np.array(TINTS[class_index]) * rng.uniform(0.8, 1.15) + rng.normal(0, 9, 3)
    period = (9, 14, 22)[class_index]
    rows, columns = np.mgrid[:height, :width]
    angle = rng.uniform(0, np.pi)
    stripes = np.sin(2 * np.pi * (np.cos(angle) * rows + np.sin(angle) * columns) / period)
    return tint + 30 * stripes[..., None]


def trained_bundle(
    repository: Path,
    pictures: Sequence[tuple[Image.Image, int]],
    *,
    architecture: str,
    trained_with: tuple[tuple[Step, ...], Normalisation],
    declared: tuple[tuple[Step, ...], Normalisation],
    classes: Sequence[str] = CLASSES,
    epochs: int = 12,
    name: str = "line",
) -> Bundle:
    """Trains with the one preprocessing and writes a manifest with the other, without golden images."""
    torch.manual_seed(0)
    manifest = describe(
        architecture=architecture,
        classes=classes,
        geometry=Geometry(trained_with[0]),
        normalisation=trained_with[1],
    )
    servable = build_servable(manifest.network_spec()).to(memory_format=torch.channels_last)
    images = torch.from_numpy(
        np.stack([preprocess(Picture(image, "PNG"), trained_with[0]).pixels for image, _ in pictures])
    )
    targets = torch.tensor([target for _, target in pictures])
    optimiser = torch.optim.AdamW(servable.parameters(), 3e-3)
    steps = epochs * -(-len(images) // 16)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, steps)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(16):
            loss = cross_entropy(servable(images[batch])[0], targets[batch], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    servable.eval()
    served = describe(
        architecture=architecture,
        classes=classes,
        geometry=Geometry(declared[0]),
        normalisation=declared[1],
    )
    return write_bundle(
        repository / name / "1",
        manifest=served,
        write_weights=lambda path: save_file(servable_state(servable), path),
    )
