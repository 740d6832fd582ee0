"""First look: every picture once through every model, for the figures that count all of them.

files -> [threads: read, decode, each manifest's steps] -> engines, in warmed batch sizes -> Survey

Kept of a picture are a few numbers; maps and pictures are added up and let go, so a folder of any size needs no
more memory than its list of names.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.errors import RequestError
from app.evaluation.evaluated import LEAST_PER_CLASS
from app.evaluation.labelled import spread_by
from app.evaluation.metrics import Figures, figures
from app.evaluation.pictures import read_picture
from app.evaluation.predictions import Limits
from app.explain.place import Place, place_of
from app.explain.summary import ClassSummary, Summary
from app.images.decode import Picture
from app.reports.ahead import ahead, answered
from app.reports.asked import Asked, Prepared, Taken

SCENE = (72, 96)
"""Rows and columns of a mean picture: it only has to tell head from tail."""


@dataclass(frozen=True, slots=True)
class Item:
    """A picture file, and what it truly shows."""

    path: Path
    true: int | None
    """Index of the report's classes; None: nobody said."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one model says of one picture."""

    probabilities: NDArray[np.float64]
    """(K,), in the order of the report's classes."""
    predicted: int
    place: Place | None
    """Of the evidence for the predicted class; None where the model gives none."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture after all models."""

    item: Item
    answers: tuple[Answer, ...]

    @property
    def verdict(self) -> tuple[bool, ...]:
        """Which models are right; where nobody knows, whether they agree (of one model nothing)."""
        if self.item.true is not None:
            return tuple(answer.predicted == self.item.true for answer in self.answers)
        if len(self.answers) == 1:
            return ()
        return (len({answer.predicted for answer in self.answers}) == 1,)


@dataclass(frozen=True, slots=True)
class Unread:
    """A picture that could not be read."""

    item: Item
    error: RequestError


@dataclass(frozen=True, slots=True)
class Look:
    """Where one model looks when it answers one class."""

    summary: ClassSummary
    scene: NDArray[np.float32]
    """Mean of the pictures, (72, 96) grey, 0..255."""
    aspect: float
    """Width by height of the pictures, on average."""


@dataclass(frozen=True, slots=True)
class Survey:
    """All pictures."""

    classes: tuple[str, ...]
    seen: tuple[Seen, ...]
    unread: tuple[Unread, ...]
    looks: tuple[dict[int, Look], ...]
    """For each model: predicted class -> where it looks; empty for one that gives no map."""

    @property
    def is_labelled(self) -> bool:
        """Whether the truth is known."""
        return bool(self.seen) and self.seen[0].item.true is not None

    def figures(self, model: int) -> Figures:
        """Of a labelled folder."""
        true = np.array([seen.item.true for seen in self.seen], dtype=np.int64)
        predicted = np.array([seen.answers[model].predicted for seen in self.seen], dtype=np.int64)
        return figures(true, predicted, self.classes)

    def scarce(self) -> dict[str, int]:
        """Of a labelled folder: classes with too few pictures, of which no accuracy is claimed."""
        counts = Counter(seen.item.true for seen in self.seen)
        return {name: counts[at] for at, name in enumerate(self.classes) if counts[at] < LEAST_PER_CLASS}

    def groups(self) -> dict[tuple[bool, ...], tuple[Seen, ...]]:
        """Pictures by verdict, the most mistaken first; within a group by class, then by path."""
        by_verdict: dict[tuple[bool, ...], list[Seen]] = {}
        for seen in self.seen:
            by_verdict.setdefault(seen.verdict, []).append(seen)
        order = sorted(by_verdict, key=lambda verdict: (sum(verdict), [not is_right for is_right in verdict]))
        return {verdict: tuple(sorted(by_verdict[verdict], key=_place_in_group)) for verdict in order}

    def chosen(self, count: int) -> tuple[Seen, ...]:
        """At most so many pictures: every verdict and class in turn, each one's taken evenly from its list."""
        listed = [seen for group in self.groups().values() for seen in group]
        buckets: dict[tuple[tuple[bool, ...], int], int] = {}
        for seen in listed:
            buckets.setdefault((seen.verdict, _class_of(seen)), len(buckets))
        taken = {
            id(seen) for seen in spread_by(listed, count, lambda seen: buckets[seen.verdict, _class_of(seen)])
        }
        return tuple(seen for seen in listed if id(seen) in taken)


@dataclass(frozen=True, slots=True)
class Reading:
    """How pictures are read."""

    limits: Limits
    threads: int
    batch_sizes: tuple[int, ...]
    """Warmed; 1 is one of them."""


def read(models: Sequence[Asked], limits: Limits, item: Item) -> tuple[Prepared, ...] | RequestError:
    """The picture as each model reads it, or why it cannot be read."""
    try:
        data = read_picture(item.path, limits.max_bytes)
        # Decoded once for models that read pictures alike, which is nearly always all of them.
        pictures: dict[tuple[object, ...], Picture] = {}
        prepared: list[Prepared] = []
        for model in models:
            geometry = model.bundle.geometry
            way: tuple[object, ...] = (geometry.orientation, geometry.alpha_background)
            if geometry.decode == "scaled":
                way += geometry.steps
            if way not in pictures:
                pictures[way] = model.decode(data, max_pixels=limits.max_pixels)
            prepared.append(model.prepare(pictures[way]))
        return tuple(prepared)
    except RequestError as error:
        return error


def survey(
    models: Sequence[Asked],
    classes: Sequence[str],
    items: Sequence[Item],
    reading: Reading,
    *,
    on_done: Callable[[int], None] = lambda _count: None,
) -> Survey:
    """Ask every model for every picture.

    Args:
        models: at least one; all know `classes`.
        classes: in the order of the report.
        items: at least one.
        reading: limits, threads, batch sizes.
        on_done: told how many more pictures are finished, on the calling thread.
    """
    sums = [_Sums(model, classes) for model in models]
    seen: list[Seen] = []
    unread: list[Unread] = []
    waiting: list[tuple[Item, tuple[_Light, ...]]] = []
    largest = max(reading.batch_sizes)

    def run() -> None:
        answers = [
            sums[number].answers([lights[number] for _, lights in waiting], reading.batch_sizes)
            for number in range(len(models))
        ]
        seen.extend(
            Seen(item, tuple(row)) for (item, _), row in zip(waiting, zip(*answers, strict=True), strict=True)
        )
        on_done(len(waiting))
        waiting.clear()

    with ThreadPoolExecutor(reading.threads, thread_name_prefix="image") as pool:
        for item, outcome in ahead(pool, partial(_light, models, reading.limits), items, 2 * largest):
            if isinstance(outcome, RequestError):
                unread.append(Unread(item, outcome))
                on_done(1)
                continue
            waiting.append((item, outcome))
            if len(waiting) == largest:
                run()
        run()
    return Survey(tuple(classes), tuple(seen), tuple(unread), tuple(each.looks() for each in sums))


@dataclass(frozen=True, slots=True)
class _Light:
    """A prepared picture without the picture itself: tens of them wait, and one may have 50 megapixels."""

    taken: Taken
    scene: NDArray[np.float32]


def _light(models: Sequence[Asked], limits: Limits, item: Item) -> tuple[_Light, ...] | RequestError:
    outcome = read(models, limits, item)
    if isinstance(outcome, RequestError):
        return outcome
    return tuple(_Light(prepared.taken, _scene(prepared)) for prepared in outcome)


def _scene(prepared: Prepared) -> NDArray[np.float32]:
    rows, columns = SCENE
    image = prepared.picture.image.convert("L")
    return np.asarray(
        image.resize((columns, rows), Image.Resampling.BILINEAR, reducing_gap=2.0), dtype=np.float32
    )


@dataclass(slots=True)
class _Scene:
    total: NDArray[np.float64]
    count: int = 0
    width: int = 0
    height: int = 0


@dataclass(slots=True)
class _Sums:
    """What is kept of one model."""

    model: Asked
    classes: Sequence[str]
    summary: Summary = field(init=False)
    scenes: dict[int, _Scene] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.summary = Summary(self.model.bundle.manifest.region_of_interest())

    def answers(self, lights: Sequence[_Light], sizes: Sequence[int]) -> list[Answer]:
        rows = answered(self.model.engine, [light.taken.pixels for light in lights], sizes)
        return [self._answer(light, *row) for light, row in zip(lights, rows, strict=True)]

    def _answer(self, light: _Light, logits: NDArray[np.float32], evidence: NDArray[np.float32]) -> Answer:
        model, taken = self.model, light.taken
        top = model.scores(logits)[0]
        predicted = self.classes.index(top.class_name)
        own = model.probabilities(logits)
        probabilities = own[[model.bundle.classes.index(name) for name in self.classes]]
        if model.plan is None:
            return Answer(probabilities, predicted, None)
        explanation = model.explained(model.plan, taken, logits, evidence)
        where = (explanation.map, explanation.cell_to_picture, taken.size)
        in_view = explanation.field_of_view
        self.summary.add(top.class_name, *where, field_of_view=in_view)
        scene = self.scenes.setdefault(predicted, _Scene(np.zeros(SCENE)))
        scene.total += light.scene
        scene.count += 1
        scene.width += taken.size.width
        scene.height += taken.size.height
        place = place_of(*where, model.bundle.manifest.region_of_interest(), field_of_view=in_view)
        return Answer(probabilities, predicted, place)

    def looks(self) -> dict[int, Look]:
        summaries = self.summary.classes()
        return {
            index: Look(
                summaries[self.classes[index]],
                (scene.total / scene.count).astype(np.float32),
                scene.width / scene.height,
            )
            for index, scene in sorted(self.scenes.items())
        }


def _class_of(seen: Seen) -> int:
    return seen.answers[0].predicted if seen.item.true is None else seen.item.true


def _place_in_group(seen: Seen) -> tuple[int, Path]:
    return _class_of(seen), seen.item.path
