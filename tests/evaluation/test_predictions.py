"""Labelled pictures through the served path: the same answers as one by one, in warmed sizes only."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.bundles import CLASSES, SMALL, random_servable
from support.pictures import damaged_file, picture_file

from app.domain import Geometry, NetworkSpec, Size
from app.engines.base import EngineOutput
from app.engines.torch_engine import TorchEngine
from app.errors import UnreadableImage
from app.evaluation.evaluated import Evaluated, Evaluation
from app.evaluation.gallery import surest_mistakes
from app.evaluation.held import hold
from app.evaluation.labelled import LabelledItem
from app.evaluation.metrics import Indices
from app.evaluation.predictions import Limits, Predictions, Prepared, predict_items, prepare
from app.evaluation.records import evaluation_json, predictions_csv
from app.images.decode import decode
from app.images.preprocess import preprocess

GEOMETRY = Geometry(SMALL)
LIMITS = Limits(max_bytes=2**20, max_pixels=10**6)


class CountingEngine(TorchEngine):
    """Keeps the sizes of its batches."""

    def __init__(self) -> None:
        servable = random_servable(NetworkSpec("cifar_resnet14", 3, Size(48, 64)), seed=1)
        super().__init__(servable, "cpu", lock=threading.Lock())
        self.sizes: list[int] = []

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        self.sizes.append(len(images))
        return super().run(images)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledItem]:
    """Eleven, the fourth of which is damaged and the sixth gone."""
    folder = tmp_path_factory.mktemp("pictures")
    items = []
    for number in range(11):
        path = folder / f"{number:02}.jpg"
        if number != 5:
            path.write_bytes(damaged_file() if number == 3 else picture_file(number))
        items.append(LabelledItem(path, number % 3))
    return items


def test_answers_are_those_of_each_picture_alone(pictures: list[LabelledItem]) -> None:
    engine, done = CountingEngine(), list[int]()

    found = predict_items(
        engine, GEOMETRY, pictures, CLASSES, batch_sizes=(1, 4), threads=3, limits=LIMITS, on_done=done.append
    )

    good = [item for number, item in enumerate(pictures) if number not in {3, 5}]
    assert list(found.items) == good
    assert engine.sizes == [4, 4, 1]
    assert sum(done) == len(pictures)
    for item, logits in zip(good, found.logits, strict=True):
        picture = decode(item.path.read_bytes(), geometry=GEOMETRY, max_pixels=10**6)
        alone = engine.run(preprocess(picture, SMALL).pixels[np.newaxis]).logits[0]
        np.testing.assert_allclose(logits, alone, rtol=0, atol=1e-5 * np.abs(alone).max())
    assert found.true.tolist() == [item.class_index for item in good]


def test_damaged_pictures_are_listed_with_their_reasons(pictures: list[LabelledItem]) -> None:
    found = predict_items(
        CountingEngine(), GEOMETRY, pictures, CLASSES, batch_sizes=(1, 2), threads=1, limits=LIMITS
    )

    assert [(failure.item.path.name, type(failure.error)) for failure in found.failures] == [
        ("03.jpg", UnreadableImage),
        ("05.jpg", UnreadableImage),
    ]


def test_large_pictures_are_decoded_as_the_server_decodes_them(tmp_path: Path) -> None:
    """Smaller where the manifest says so; in full where other steps are to be tried on them."""
    path = tmp_path / "large.jpg"
    path.write_bytes(picture_file(3, width=641, height=483))
    item, scaled = LabelledItem(path, 0), replace(GEOMETRY, decode="scaled")

    prepared = prepare(item, scaled, LIMITS)
    held = hold([item], scaled, LIMITS).pictures[0]

    served = decode(path.read_bytes(), geometry=scaled, max_pixels=LIMITS.max_pixels)
    assert served.reduced is not None
    assert isinstance(prepared, Prepared)
    assert np.array_equal(prepared.pixels, preprocess(served, SMALL).pixels)
    assert prepared.picture == Size(483, 641)
    assert held.reduced is None
    assert np.array_equal(np.asarray(held.image), np.asarray(served.image))


def test_the_worst_mistakes_come_first() -> None:
    """By how sure the model was."""
    logits = np.array([[9, 0, 0], [0, 2, 0], [0, 0, 5], [3, 0, 0]], dtype=np.float32)
    items = tuple(LabelledItem(Path(str(n)), 0) for n in range(4))

    found = Predictions(CLASSES, items, logits, ())

    assert surest_mistakes(found, 1.0, 10) == [2, 1]
    assert surest_mistakes(found, 1.0, 1) == [2]
    assert found.figures().accuracy == 0.5


class AskedOften(Predictions):
    """Counts how often all pictures are gone through."""

    asked = 0

    @property
    def predicted(self) -> Indices:
        AskedOften.asked += 1
        return np.asarray(self.logits.argmax(axis=1), dtype=np.int64)


def test_writing_a_report_does_not_go_through_all_pictures_for_each() -> None:
    """Of 50,000 pictures the table alone took minutes."""
    items = tuple(LabelledItem(Path(f"/f/a/{number}.jpg"), 0) for number in range(60))
    wrong = np.tile(np.array([0.0, 1.0], np.float32), (60, 1))
    each = Evaluated("m/1", None, AskedOften(("a", "b"), items, wrong, ()), 1.0, {})

    lines = predictions_csv([each], (), Path("/f")).splitlines()
    report = evaluation_json(Evaluation("f", (each,)), Path("/f"))

    assert lines[1] == "m/1,a/0.jpg,a,b,0.268941,0.731059,0.000000,1.000000,"
    assert (len(lines), len(report["models"][0]["mistakes"])) == (61, 60)
    assert AskedOften.asked < 10
