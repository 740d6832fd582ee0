"""A demo model that is not good enough never takes the place of the one that is."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.bundles.golden import GoldenPicture
from app.bundles.repository import open_bundle
from app.bundles.writer import write_bundle
from app.demo.acceptance import accept
from app.errors import BundleRefused

FOLDER = Path(__file__).resolve().parents[2] / "models" / "carcass-demo" / "1"


def files_in(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The model that serves."""
    place = tmp_path / "models" / "carcass-demo" / "1"
    shutil.copytree(FOLDER, place)
    return place


def test_a_network_that_calls_a_golden_image_wrong_is_refused(place: Path, tmp_path: Path) -> None:
    """Its last layer's rows are turned by one, so every class is called by the next one's name."""
    bundle = open_bundle(FOLDER)
    weights = load_file(bundle.weights_path)
    turned = {
        name: torch.roll(value, 1, 0).contiguous() if name.startswith("fc.") else value
        for name, value in weights.items()
    }
    new = tmp_path / "new" / "carcass-demo" / "1"
    assert bundle.golden is not None
    pictures = [
        GoldenPicture(image.file, bundle.golden.read(image), logits, image.class_name)
        for image, logits in zip(bundle.golden.images, bundle.golden.logits(), strict=True)
    ]
    write_bundle(
        new,
        manifest=bundle.manifest,
        write_weights=lambda path: save_file(turned, path),
        pictures=pictures,
    )
    before = files_in(place)

    with pytest.raises(BundleRefused, match=r"the golden image castrate-0001\.jpg is predicted"):
        accept(new, place)

    assert files_in(place) == before


def test_a_bundle_without_golden_images_is_refused(place: Path, tmp_path: Path) -> None:
    bundle = open_bundle(FOLDER)
    new = tmp_path / "new" / "carcass-demo" / "1"
    weights = load_file(bundle.weights_path)
    write_bundle(new, manifest=bundle.manifest, write_weights=lambda path: save_file(weights, path))

    with pytest.raises(BundleRefused, match="no golden images"):
        accept(new, place)

    assert place.exists()


@pytest.mark.slow
def test_a_good_one_takes_the_place_with_a_card_of_its_own_figures(place: Path, tmp_path: Path) -> None:
    new = tmp_path / "new" / "carcass-demo" / "1"
    shutil.copytree(FOLDER, new)
    (new / "README.md").write_text("not yet measured", "utf-8")
    (place / "left over").write_text("of the old one", "utf-8")

    accepted = accept(new, place)

    assert accepted.score.count == 300
    assert f"| {accepted.score.pointing:.1%} | 90 % |" in (place / "README.md").read_text("utf-8")
    assert not (place / "left over").exists()
    assert [path.name for path in place.parent.iterdir()] == ["1"]
    assert not new.exists()
