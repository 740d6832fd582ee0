"""Bundles of random but well-behaved networks, written as an ML engineer would."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from app.bundles.golden import GoldenPicture
from app.bundles.manifest_text import describe
from app.bundles.repository import Bundle
from app.bundles.writer import write_bundle
from app.domain import (
    ConvCamHead,
    Crop,
    Geometry,
    HeadSpec,
    LinearHead,
    NetworkSpec,
    Normalisation,
    RegionOfInterest,
    Resize,
    Size,
    Step,
)
from app.images.decode import decode
from app.images.preprocess import preprocess
from app.nets.servable import Servable, build_servable, servable_state

CLASSES = ("castrate", "boar", "female")
SMALL: tuple[Step, ...] = (Resize(Size(48, 64), "bilinear"),)
CARCASS: tuple[Step, ...] = (
    Resize(Size(373, 373), "nearest"),
    Crop(Size(224, 224), "bottom_right"),
)
CARCASS_HEAD = ConvCamHead(kernel_size=3)
MAX_PIXELS = 10_000_000


def random_servable(spec: NetworkSpec, *, seed: int) -> Servable:
    """Random weights whose batch norm knows its inputs, so that activations are neither 0 nor huge."""
    torch.manual_seed(seed)
    servable = build_servable(spec)
    for module in servable.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # plain average over the calibration images
            module.reset_running_stats()
    servable.train()
    size, threads = spec.input_size, torch.get_num_threads()
    torch.set_num_threads(1)  # sums of several threads differ in their last bits, and with them the digest
    try:
        with torch.no_grad():
            servable(torch.randint(256, (8, size.height, size.width, 3), dtype=torch.uint8))
    finally:
        torch.set_num_threads(threads)
    return servable.eval()


def write_random_bundle(
    repository: Path,
    *,
    name: str = "line",
    version: int = 1,
    architecture: str = "cifar_resnet14",
    classes: Sequence[str] = CLASSES,
    head: HeadSpec | None = None,
    steps: tuple[Step, ...] = SMALL,
    orientation: str = "ignore",
    seed: int = 0,
    golden: dict[str, bytes] | None = None,
    title: str | None = None,
    notice: str | None = None,
    display: dict[str, dict[str, str]] | None = None,
    region_of_interest: RegionOfInterest | None = None,
) -> Bundle:
    """A complete bundle; `golden` are picture files by name, whose logits are recorded."""
    geometry = Geometry(steps, orientation="apply" if orientation == "apply" else "ignore")
    manifest = describe(
        architecture=architecture,
        classes=classes,
        geometry=geometry,
        normalisation=Normalisation(),
        head=head or LinearHead(),
        title=title,
        notice=notice,
        display=display or {},
        region_of_interest=region_of_interest,
    )
    servable = random_servable(manifest.network_spec(), seed=seed)
    pictures = []
    for file, data in (golden or {}).items():
        pixels = preprocess(decode(data, geometry=geometry, max_pixels=MAX_PIXELS), steps).pixels
        with torch.inference_mode():
            logits = servable(torch.tensor(pixels)[None])[0][0].numpy()
        pictures.append(GoldenPicture(file, data, logits))
    return write_bundle(
        repository / name / str(version),
        manifest=manifest,
        write_weights=lambda path: save_file(servable_state(servable), path),
        pictures=pictures,
        made_with={"torch": torch.__version__},
    )
