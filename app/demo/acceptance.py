"""Whether a trained network may be the demo model, and its place in the repository where it may.

a bundle that `lineside finetune` wrote -> measured on unused seeds -> its card -> models/carcass-demo/1
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from app.bundles.files import hidden_sibling, write_atomically
from app.bundles.repository import Bundle, open_bundle
from app.demo.card import card
from app.demo.evaluation import Score, evaluate
from app.demo.painted_set import TEST_SEEDS, network_input, one_class_each, paint_set
from app.errors import BundleRefused
from app.images.decode import decode
from app.nets.servable import Servable, load_servable

REQUIRED: Final = Score(count=len(TEST_SEEDS), accuracy=0.98, pointing=0.90)
MAX_BYTES: Final = 1_500_000
"""Of the whole bundle: everyone who clones the repository fetches it."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was measured."""

    score: Score
    byte_count: int


def accept(new: Path, place: Path) -> Accepted:
    """Measure the bundle `new`, write its card and put it at `place`, in place of the one that is there.

    Raises:
        BundleRefused: it is worse than REQUIRED, too large, or calls a golden image wrong; `place` is untouched.
    """
    bundle = open_bundle(new)
    servable = load_servable(bundle.network_spec, load_file(bundle.weights_path))
    _check_golden(bundle, servable)
    score = evaluate(servable, paint_set(one_class_each(TEST_SEEDS), bundle.geometry)).score()
    if score.accuracy < REQUIRED.accuracy or score.pointing < REQUIRED.pointing:
        raise BundleRefused(f"the new demo model is not good enough: {score}; required: {REQUIRED}")
    write_atomically(new / "README.md", card(score, bundle).encode())
    byte_count = byte_count_of(new)
    if byte_count > MAX_BYTES:
        raise BundleRefused(f"the new demo model has {byte_count} bytes; {MAX_BYTES} at most")
    _replace(new, place)
    return Accepted(score, byte_count)


def byte_count_of(folder: Path) -> int:
    """Of all its files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@torch.inference_mode()
def golden_logits(bundle: Bundle, servable: Servable) -> NDArray[np.float32]:
    """(N, K), of the pixels that come out of the golden files."""
    if bundle.golden is None:
        raise BundleRefused("the demo model has no golden images")
    rows = []
    for image in bundle.golden.images:
        data = bundle.golden.read(image)
        picture = decode(data, geometry=bundle.geometry, max_pixels=10**6)
        pixels = network_input(picture.image, bundle.geometry).pixels
        rows.append(servable(torch.from_numpy(pixels)[None])[0][0].numpy())
    return np.stack(rows)


def _check_golden(bundle: Bundle, servable: Servable) -> None:
    named = golden_logits(bundle, servable).argmax(1)
    images = bundle.golden.images if bundle.golden else ()
    for image, index in zip(images, named, strict=True):
        if bundle.classes[index] != image.class_name:
            raise BundleRefused(
                f"the golden image {image.file} is predicted {bundle.classes[index]}, not {image.class_name}"
            )


def _replace(new: Path, place: Path) -> None:
    """By two renames, the old one back in its place should the second fail."""
    place.parent.mkdir(parents=True, exist_ok=True)
    old = hidden_sibling(place)
    had_one = place.exists()
    if had_one:
        place.rename(old)
    try:
        shutil.move(new, place)
    except OSError:
        shutil.rmtree(place, ignore_errors=True)
        if had_one:
            old.rename(place)
        raise
    shutil.rmtree(old, ignore_errors=True)
