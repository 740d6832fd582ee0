"""Which pictures are chosen, what is held at once, and a model whose head gives no map."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.bundles import write_random_bundle
from support.pictures import picture_file

from app.domain import EvidenceKind, Method, Size
from app.engines.base import EngineOutput, Run
from app.evaluation.predictions import Limits
from app.reports.ahead import ahead, answered, parts
from app.reports.asked import Asked, asked
from app.reports.closer import Shown, look_closer
from app.reports.explanations import Explanations
from app.reports.explanations_page import explanations_page
from app.reports.survey import Answer, Item, Reading, Seen, Survey, Unread, survey
from app.reports.words import WORDS
from app.serving.deployment import Proof
from app.wiring import Proved

READING = Reading(Limits(10**7, 10**7), threads=2, batch_sizes=(1, 2, 4))


class MaplessEngine:
    """Answers by the picture's mean colour; its head leaves no map, as an exported one may."""

    device: str = "cpu"
    precision: str = "float32"
    batches_in_flight: int = 1
    takes_any_thread: bool = False
    largest_batch: int | None = None
    evidence_methods: tuple[Method, ...] = ()
    input_size: Size = Size(48, 64)
    class_count: int = 3
    evidence_kind: EvidenceKind = "none"
    margin_cells: float = 0.0
    target_layer: str = "layer3"

    @property
    def ways(self) -> tuple[Run, ...]:
        return (self.run,)

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        logits = images.mean(axis=(1, 2)).astype(np.float32) / 16
        return EngineOutput(logits, np.empty((len(images), 3, 0, 0), np.float32))

    def close(self) -> None:
        """Holds nothing."""


@pytest.fixture
def mapless(tmp_path: Path) -> Asked:
    bundle = write_random_bundle(tmp_path, name="mapless")
    return asked(Proved(bundle, MaplessEngine(), Proof(0.0, None, {}, ())), layers="all")


def seen(number: int, true: int | None, *predicted: int) -> Seen:
    answers = tuple(Answer(np.eye(3)[index], index, None) for index in predicted)
    return Seen(Item(Path(f"{number:04}.jpg"), true), answers)


def test_mistakes_are_shown_first_and_the_rest_evenly() -> None:
    """Three of a thousand are wrong: all of them are among the few that are shown."""
    found = Survey(
        ("a", "b", "c"),
        (
            *(seen(number, number % 3, number % 3) for number in range(997)),
            *(seen(number, 0, 1) for number in range(997, 1000)),
        ),
        (),
        ({},),
    )

    chosen = found.chosen(40)

    assert len(chosen) == 40
    assert [each.item.path.stem for each in chosen[:3]] == ["0997", "0998", "0999"]
    counts = [sum(each.item.true == index for each in chosen[3:]) for index in range(3)]
    assert max(counts) - min(counts) <= 1
    firsts = [int(each.item.path.stem) for each in chosen[3:] if each.item.true == 0]
    assert max(second - first for first, second in itertools.pairwise([0, *firsts, 997])) < 200


def test_groups_go_from_wrong_in_all_to_right_in_all() -> None:
    pictures = [seen(at, 0, *row) for at, row in enumerate([(0, 0), (0, 1), (1, 1), (1, 0), (2, 1)])]

    groups = Survey(("a", "b", "c"), tuple(pictures), (), ({}, {})).groups()

    assert list(groups) == [(False, False), (True, False), (False, True), (True, True)]
    assert [len(those) for those in groups.values()] == [2, 1, 1, 1]


def test_a_model_without_a_map_answers_and_its_column_says_so(mapless: Asked, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.jpg" for number in range(3)]
    for number, path in enumerate(paths[:2]):
        path.write_bytes(picture_file(number))
    items = [Item(path, None) for path in paths]

    found = survey([mapless], mapless.bundle.classes, items, READING)
    shown = list(look_closer([mapless], found.chosen(9), READING, "en"))

    assert [len(found.seen), len(found.unread)] == [2, 1]
    assert found.looks == ({},)
    assert all(isinstance(each, Shown) and each.views[0].explanation is None for each in shown)
    report = Explanations(
        folder="day",
        made=datetime(2026, 1, 2, tzinfo=UTC),
        models=(mapless,),
        survey=found,
        shown=tuple(each for each in shown if isinstance(each, Shown)),
        layers="all",
        numbers_file="n.json",
    )
    page = explanations_page(report, WORDS["en"]).decode()
    assert page.count('<p class="sentence">This model\'s head gives no map.') == 2
    assert "Where it looks" not in page
    assert "2026-01-02" in page
    assert "In none of the figures: 1 picture." in page
    reason = f'<span lang="en">{found.unread[0].error.message}</span>'
    assert reason in explanations_page(report, WORDS["ko"]).decode()
    assert reason not in page


def test_a_picture_that_goes_away_between_the_looks_is_told(mapless: Asked, tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_bytes(picture_file(0))
    (tmp_path / "1.jpg").write_bytes(picture_file(1))
    items = [Item(tmp_path / f"{number}.jpg", None) for number in range(2)]
    found = survey([mapless], mapless.bundle.classes, items, READING)
    (tmp_path / "0.jpg").unlink()

    first, second = look_closer([mapless], found.chosen(9), READING, "en")

    assert isinstance(first, Unread)
    assert isinstance(second, Shown)


def test_only_so_many_pictures_are_begun_before_they_are_taken() -> None:
    """A folder of any size is never in memory."""
    drawn = itertools.count()
    with ThreadPoolExecutor(2) as pool:
        coming = ahead(pool, lambda item: -item, (next(drawn) for _ in range(1000)), 6)

        assert [next(coming) for _ in range(3)] == [(0, 0), (1, -1), (2, -2)]
        assert next(drawn) == 3 + 6 - 1
        assert sum(1 for _ in coming) == 1000 - 3


def test_only_warmed_sizes_run_and_the_order_is_kept() -> None:
    sizes: list[int] = []

    class Watched(MaplessEngine):
        def run(self, images: NDArray[np.uint8]) -> EngineOutput:
            sizes.append(len(images))
            return super().run(images)

    images = [np.full((48, 64, 3), number, np.uint8) for number in range(11)]

    rows = answered(Watched(), images, (1, 2, 4))

    assert sizes == [4, 4, 2, 1]
    assert [round(float(logits[0]) * 16) for logits, _ in rows] == list(range(11))
    assert list(parts(0, (1, 2))) == []
