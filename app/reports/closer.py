"""Second look: the pictures that a report shows, with maps, regions, cover check, sentence and drawings.

files -> [threads] -> probe or run -> Explanation -> Regions -> three covered images -> run -> sentence -> overlays

A few pictures at a time: what is kept of each are its numbers and its small, encoded drawings.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain import Affine, ClassScore, EncodedPicture, Explanation, Probed, Size
from app.engines.base import ProbingEngine
from app.errors import RequestError
from app.explain.cover import CoverCheck, CoverPictures, cover
from app.explain.place import place_of
from app.explain.regions import Regions, find_regions
from app.explain.sentence import Finding, Language, sentence
from app.images.decode import Picture
from app.images.overlay import Region, render_overlay
from app.reports.ahead import ahead, answered
from app.reports.asked import Asked, Prepared
from app.reports.survey import Reading, Seen, Unread, read

AT_ONCE: Final = 4
"""Pictures; a ResNet-50 keeps 50 MB of each for the maps of its layers."""
SIDE_PX: Final = 480
"""Longer side of a drawing: 200 dots an inch where three stand beside each other on A4."""
LAYER_SIDE_PX: Final = 320
MEDIA_TYPE: Final = "image/jpeg"
"""Not WebP: a browser that prints to PDF takes a JPEG as it is, and unpacks anything else (26 MB instead of 4)."""

Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LayerView:
    """One depth of one model."""

    layer: str
    overlay: EncodedPicture
    peak: float
    """Of the map."""


@dataclass(frozen=True, slots=True)
class View:
    """What one model says of one picture, to be shown."""

    scores: tuple[ClassScore, ...]
    """All classes, the most probable first."""
    overlay: EncodedPicture
    """The plain picture where the model gives no map."""
    finding: Finding | None = None
    explanation: Explanation | None = None
    sentence: str | None = None
    layers: tuple[LayerView, ...] = ()

    @property
    def cover(self) -> CoverCheck | None:
        """Of the first region."""
        return None if self.finding is None else self.finding.cover

    @property
    def regions(self) -> Regions | None:
        """Of the map."""
        return None if self.finding is None else self.finding.regions


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture of the report."""

    seen: Seen
    picture: EncodedPicture
    size: Size
    """Of the picture in its file."""
    views: tuple[View, ...]
    """One for each model."""


@dataclass(frozen=True, slots=True)
class _Said:
    logits: Logits
    evidence: NDArray[np.float32]
    probed: Probed | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """One model's findings on one picture, before they are drawn."""

    scores: tuple[ClassScore, ...]
    explanation: Explanation | None = None
    finding: Finding | None = None


def look_closer(
    models: Sequence[Asked],
    chosen: Sequence[Seen],
    reading: Reading,
    language: Language,
    *,
    on_done: Callable[[int], None] = lambda _count: None,
) -> Iterator[Shown | Unread]:
    """Each chosen picture, drawn; or why it cannot be read any more."""
    with (
        ThreadPoolExecutor(reading.threads, thread_name_prefix="image") as readers,
        ThreadPoolExecutor(reading.threads, thread_name_prefix="draw") as painters,
    ):

        def work(seen: Seen) -> tuple[Prepared, ...] | RequestError:
            return read(models, reading.limits, seen.item)

        coming = ahead(readers, work, chosen, reading.threads)
        while group := list(islice(coming, AT_ONCE)):
            good = [(seen, prepared) for seen, prepared in group if not isinstance(prepared, RequestError)]
            found = [
                _findings(model, [row[number] for _, row in good], reading.batch_sizes)
                for number, model in enumerate(models)
            ]
            drawn = iter(
                _drawn(models, good, [list(row) for row in zip(*found, strict=True)], painters, language)
            )
            for seen, prepared in group:
                yield Unread(seen.item, prepared) if isinstance(prepared, RequestError) else next(drawn)
            on_done(len(group))


# --- numbers -----------------------------------------------------------------------------------


def _findings(model: Asked, prepared: Sequence[Prepared], sizes: Sequence[int]) -> list[_Found]:
    said = _said(model, [each.taken.pixels for each in prepared], sizes)
    scores = [model.scores(each.logits) for each in said]
    plan = model.plan_of_layers or model.plan
    if plan is None:
        return [_Found(row) for row in scores]
    explanations = [
        model.explained(plan, each.taken, row.logits, row.evidence, row.probed)
        for each, row in zip(prepared, said, strict=True)
    ]
    regions = [
        find_regions(shown.map, shown.cell_to_picture, shown.field_of_view, each.taken.size)
        for each, shown in zip(prepared, explanations, strict=True)
    ]
    covers = [
        _cover(each, shown, found) for each, shown, found in zip(prepared, explanations, regions, strict=True)
    ]
    checks = _checked(model, covers, [row[0] for row in scores], sizes)
    expected = model.bundle.manifest.region_of_interest()
    return [
        _Found(
            scores[at],
            shown,
            Finding(
                regions=regions[at],
                picture=prepared[at].taken.size,
                is_exact=shown.is_exact,
                cover=checks[at],
                share_inside=place_of(
                    shown.map,
                    shown.cell_to_picture,
                    prepared[at].taken.size,
                    expected,
                    field_of_view=shown.field_of_view,
                ).share_inside,
            ),
        )
        for at, shown in enumerate(explanations)
    ]


def _said(model: Asked, images: Sequence[NDArray[np.uint8]], sizes: Sequence[int]) -> list[_Said]:
    plan, engine = model.plan_of_layers, model.engine
    if plan is None or plan.probe is None or not isinstance(engine, ProbingEngine) or not images:
        return [_Said(*row) for row in answered(engine, images, sizes)]
    output = engine.probe(np.stack(images), [plan.probe] * len(images))
    return [_Said(*row) for row in zip(output.logits, output.evidence, output.answers, strict=True)]


def _cover(prepared: Prepared, explanation: Explanation, regions: Regions) -> CoverPictures | None:
    """The three images that show what the first region is worth; None where there is none in sight."""
    if not regions.regions:
        return None
    mask = regions.mask(1, explanation.input_size, explanation.cell_to_input)
    return cover(prepared.taken.pixels, mask) if mask.any() else None


def _checked(
    model: Asked, covers: Sequence[CoverPictures | None], tops: Sequence[ClassScore], sizes: Sequence[int]
) -> list[CoverCheck | None]:
    """All covered images of some pictures in one go."""
    images = [
        image
        for each in covers
        if each is not None
        for image in (each.without_region, each.only_region, each.without_random)
    ]
    said = iter([model.probabilities(logits) for logits, _ in answered(model.engine, images, sizes)])
    checks: list[CoverCheck | None] = []
    for each, top in zip(covers, tops, strict=True):
        if each is None:
            checks.append(None)
            continue
        without, only, random = (float(next(said)[top.class_index]) for _ in range(3))
        checks.append(each.check(top.probability, without, only, random))
    return checks


# --- drawings ----------------------------------------------------------------------------------


def _drawn(
    models: Sequence[Asked],
    good: Sequence[tuple[Seen, tuple[Prepared, ...]]],
    found: Sequence[Sequence[_Found]],
    painters: Executor,
    language: Language,
) -> Iterator[Shown]:
    def one(number: int) -> Shown:
        seen, prepared = good[number]
        return Shown(
            seen,
            _plain(prepared[0].picture),
            prepared[0].taken.size,
            tuple(
                _view(model, each.picture, row, language)
                for model, each, row in zip(models, prepared, found[number], strict=True)
            ),
        )

    return painters.map(one, range(len(good)))


def _view(model: Asked, picture: Picture, found: _Found, language: Language) -> View:
    explanation, finding = found.explanation, found.finding
    if explanation is None or finding is None:
        return View(found.scores, _plain(picture))
    boxes = [
        Region(region.box, str(number))
        for number, region in enumerate(finding.told, start=1)
        if region.box is not None
    ]
    return View(
        found.scores,
        _overlay(picture, explanation.map.values, explanation.cell_to_picture, explanation, boxes),
        finding,
        explanation,
        sentence(finding, language, label=model.bundle.labels(language)[explanation.target.class_index]),
        tuple(
            LayerView(
                each.layer,
                _overlay(picture, each.map.values, each.cell_to_picture, explanation, side=LAYER_SIDE_PX),
                float(each.map.values.max()),
            )
            for each in explanation.layers
        ),
    )


def _overlay(
    picture: Picture,
    values: NDArray[np.float32],
    cells: Affine,
    explanation: Explanation,
    boxes: Sequence[Region] = (),
    *,
    side: int = SIDE_PX,
) -> EncodedPicture:
    return render_overlay(
        picture,
        values,
        cells,
        explanation.field_of_view,
        media_type=MEDIA_TYPE,
        regions=boxes,
        max_side=side,
    )


def _plain(picture: Picture) -> EncodedPicture:
    nothing = np.zeros((1, 1), np.float32)
    whole = (0.0, 0.0, float(picture.width), float(picture.height))
    return render_overlay(
        picture, nothing, Affine(), whole, media_type=MEDIA_TYPE, opacity=0.0, max_side=SIDE_PX
    )
