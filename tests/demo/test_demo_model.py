"""The committed demo model, measured anew on seeds that it was never trained on."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest
from safetensors.torch import load_file

from app.bundles.comparison import compare
from app.bundles.repository import Bundle, open_bundle
from app.demo.acceptance import MAX_BYTES, REQUIRED, byte_count_of, golden_logits
from app.demo.evaluation import Score, evaluate
from app.demo.painted_folder import painted_files
from app.demo.painted_set import TEST_SEEDS, one_class_each, paint_set
from app.demo.painter import CLASSES
from app.nets.servable import Servable, load_servable
from app.training.configuration import read_configuration

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "models" / "carcass-demo" / "1"
CONFIG = ROOT / "examples" / "painted.toml"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """What a clone holds."""
    return open_bundle(FOLDER)


@pytest.fixture(scope="module")
def servable(bundle: Bundle) -> Servable:
    """The network as it would be served."""
    return load_servable(bundle.network_spec, load_file(bundle.weights_path))


def measured(servable: Servable, bundle: Bundle, seeds: Sequence[int]) -> Score:
    """Painted anew, so the painter and the network are tested together."""
    return evaluate(servable, paint_set(one_class_each(seeds), bundle.geometry)).score()


def test_demo_model_names_the_class_and_looks_at_the_cue(servable: Servable, bundle: Bundle) -> None:
    """On 60 unused seeds; the slow test below takes all 300."""
    score = measured(servable, bundle, TEST_SEEDS[:60])

    assert score.accuracy >= REQUIRED.accuracy
    assert score.pointing >= REQUIRED.pointing


@pytest.mark.slow
def test_demo_model_on_all_300_unused_seeds(servable: Servable, bundle: Bundle) -> None:
    """The figures that the issue asks for."""
    score = measured(servable, bundle, TEST_SEEDS)

    assert score.count == 300
    assert score.accuracy >= REQUIRED.accuracy
    assert score.pointing >= REQUIRED.pointing


def test_bundle_is_small_enough_to_be_cloned() -> None:
    """Weights, nine pictures and the card together."""
    assert byte_count_of(FOLDER) <= MAX_BYTES


def test_bundle_was_made_with_the_committed_configuration(bundle: Bundle) -> None:
    """Nobody edits the one without the other."""
    configuration = read_configuration(CONFIG.read_bytes(), {}, name=CONFIG.name)

    kept = (FOLDER / "training" / "config.toml").read_text(encoding="utf-8")

    assert read_configuration(kept.encode(), {}, name="kept") == configuration
    assert bundle.manifest == configuration.manifest(CLASSES)


def test_bundle_was_trained_on_the_paintings(bundle: Bundle) -> None:
    """And on nothing else; the golden images are those that were painted under these names."""
    with (FOLDER / "training" / "split.csv").open(encoding="utf-8") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}

    assert rows.keys() == painted_files().keys()
    assert all(row["class"] == painted_files()[name][0] for name, row in rows.items())
    assert bundle.golden is not None
    golden = {image.file: image.sha256 for image in bundle.golden.images}
    assert golden == {Path(name).name: rows[name]["sha256"] for name in rows if "/scene-" not in name}


def test_golden_images_show_every_class_and_are_met(servable: Servable, bundle: Bundle) -> None:
    """Three of each; the recorded logits are those of the files' own pixels."""
    assert bundle.golden is not None
    images = bundle.golden.images
    assert [image.class_name for image in images] == [name for name in CLASSES for _ in range(3)]

    logits = golden_logits(bundle, servable)

    report = compare(bundle.golden.logits(), logits, 1e-3, [image.file for image in images])
    assert report.holds, report.message
    assert [CLASSES[index] for index in logits.argmax(1)] == [image.class_name for image in images]


def test_bundle_says_loudly_that_it_is_synthetic(bundle: Bundle) -> None:
    """In the manifest, which the page shows, and on the card."""
    card = (FOLDER / "README.md").read_text(encoding="utf-8")

    for text in (bundle.manifest.notice or "", card):
        assert "synthetic" in text.lower()
        assert "not for use on meat" in text.lower()


def test_labels_are_korean_where_asked(bundle: Bundle) -> None:
    """In the order of the head's outputs."""
    assert bundle.labels("ko") == ("거세", "수", "암")
