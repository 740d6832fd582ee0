"""A model that reads ink or backdrop is caught; one that does not is not."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from app.domain import EvidenceKind, Geometry, Resize, Size
from app.engines.base import EngineOutput
from app.evaluation.labelled import LabelledItem
from app.evaluation.predictions import Limits
from app.evaluation.robustness import PaintedOver, paint_over

SIZE = Size(72, 96)
GEOMETRY = Geometry((Resize(SIZE, "box"),))


class OneFeature:
    """Class 1 where this feature of a picture is above its threshold; sure of it."""

    device, precision, input_size, class_count = "cpu", "float32", SIZE, 2
    evidence_kind: EvidenceKind = "exact"
    margin_cells, target_layer = 0.0, "layer"

    def __init__(self, feature: str) -> None:
        self.feature = feature
        self.sizes: set[int] = set()

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        self.sizes.add(len(images))
        red, green, blue = (images[..., channel].astype(int) for channel in range(3))
        if self.feature == "ink":
            margin = ((blue - green > 25) & (red > 120)).mean(axis=(1, 2)) - 0.002
        elif self.feature == "backdrop":  # the wall's shade of one day
            margin = (blue[:, :4].mean(axis=(1, 2)) - 57) / 10
        else:
            margin = (red > 120).mean(axis=(1, 2)) - 0.2
        scores = np.stack([np.zeros(len(images)), 6 * np.sign(margin)], axis=1).astype(np.float32)
        return EngineOutput(scores, scores[:, :, None, None])

    def close(self) -> None:
        """Nothing to let go of."""


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledItem]:
    """Eight carcasses, four of them written on; the wall of every other one is lighter."""
    folder = tmp_path_factory.mktemp("carcasses")
    for number in range(8):
        wall = (23, 27, 50 if number % 2 else 64)
        picture = Image.new("RGB", (192, 144), wall)
        ImageDraw.Draw(picture).ellipse((30, 30, 170, 130), (244, 206, 190))
        if number < 4:
            ImageDraw.Draw(picture).line((70, 70, 120, 90), (186, 35, 126), 5)
        picture.save(folder / f"{number}.png")
    return [LabelledItem(path, 0) for path in sorted(Path(folder).iterdir())]


def painted(feature: str, items: list[LabelledItem]) -> tuple[PaintedOver, PaintedOver]:
    ink, backdrop = paint_over(
        OneFeature(feature),
        GEOMETRY,
        items,
        temperature=1.0,
        batch_sizes=(1, 2, 4),
        threads=2,
        limits=Limits(10**6, 10**6),
    )
    return ink, backdrop


def test_a_model_that_reads_ink_changes_its_mind_without_it(items: list[LabelledItem]) -> None:
    ink, backdrop = painted("ink", items)

    assert (ink.looked_at, ink.count, ink.changed, ink.control_changed) == (8, 4, 4, 0)
    assert ink.shift > 0.9
    assert ink.is_leant_on
    assert not backdrop.is_leant_on


def test_a_model_that_reads_the_wall_changes_its_mind_when_all_walls_are_one(
    items: list[LabelledItem],
) -> None:
    ink, backdrop = painted("backdrop", items)

    assert backdrop.count == 8
    assert backdrop.changed == 4
    assert not ink.is_leant_on


def test_a_model_that_looks_at_the_carcass_is_not_accused(items: list[LabelledItem]) -> None:
    assert not any(each.is_leant_on for each in painted("carcass", items))


def test_pictures_that_cannot_be_read_are_passed_over(items: list[LabelledItem], tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")

    ink, _ = painted("ink", [*items[:2], LabelledItem(tmp_path / "broken.png", 0)])

    assert (ink.looked_at, ink.count) == (2, 2)
