"""Labelled items -> logits, through the very steps that a request takes.

files -> [threads: read, decode, the manifest's steps] -> engine, in warmed batch sizes -> logits (N, K)

A damaged picture is listed and skipped. At most two of the largest batches are in memory.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain import Affine, Geometry, Size
from app.engines.base import Engine
from app.errors import RequestError
from app.evaluation.labelled import LabelledItem
from app.evaluation.metrics import Figures, Indices, figures
from app.evaluation.pictures import read_picture
from app.explain.explanation import Place
from app.explain.maps import softmax
from app.images.decode import decode
from app.images.preprocess import preprocess

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture as the network takes it, and where that lies."""

    item: LabelledItem
    pixels: Pixels
    """(h, w, 3)."""
    to_picture: Affine
    """From these pixels to the picture's."""
    picture: Size


def evidence_place(engine: Engine, to_picture: Affine) -> Place:
    """Where the engine's evidence lies on a picture whose pixels `to_picture` leads to."""
    return Place(engine.input_size, to_picture, engine.margin_cells, engine.target_layer, engine.cells)


Answered = Callable[[Prepared, NDArray[np.float32], NDArray[np.float32]], None]
"""Told of each picture its logits (K,) and evidence (K, h', w'), in order."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may ask for; the server's own limits."""

    max_bytes: int
    max_pixels: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture that could not be read."""

    item: LabelledItem
    error: RequestError


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the model says of the pictures that could be read."""

    classes: tuple[str, ...]
    items: tuple[LabelledItem, ...]
    """N, in the order they were given."""
    logits: NDArray[np.float32]
    """(N, K)."""
    failures: tuple[Failure, ...]

    @property
    def true(self) -> Indices:
        """(N,), class indices."""
        return np.array([item.class_index for item in self.items], dtype=np.int64)

    @property
    def predicted(self) -> Indices:
        """(N,), class indices."""
        return np.asarray(self.logits.argmax(axis=1), dtype=np.int64)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """(N, K)."""
        return softmax(self.logits)

    def figures(self) -> Figures:
        """Accuracy and the rest."""
        return figures(self.true, self.predicted, self.classes)


def predict_items(
    engine: Engine,
    geometry: Geometry,
    items: Sequence[LabelledItem],
    classes: Sequence[str],
    *,
    batch_sizes: Sequence[int],
    threads: int,
    limits: Limits,
    on_answer: Answered = lambda _prepared, _logits, _evidence: None,
    on_done: Callable[[int], None] = lambda _count: None,
) -> Predictions:
    """Asks the engine for every picture.

    Args:
        engine: warmed for `batch_sizes`, which hold 1.
        geometry: the manifest's.
        items: at least one.
        classes: in the order of the engine's outputs.
        batch_sizes: the only sizes that run; nothing is padded.
        threads: that read and decode.
        limits: of a picture.
        on_answer: told of each picture what the engine says, on the calling thread.
        on_done: told how many more pictures are finished, on the calling thread.
    """
    sizes = sorted(set(batch_sizes), reverse=True)
    waiting: list[Prepared] = []
    read: list[LabelledItem] = []
    logits: list[NDArray[np.float32]] = []
    failures: list[Failure] = []

    def run(count: int) -> None:
        output = engine.run(np.stack([each.pixels for each in waiting[:count]]))
        logits.append(output.logits)
        read.extend(each.item for each in waiting[:count])
        for number, each in enumerate(waiting[:count]):
            on_answer(each, output.logits[number], output.evidence[number])
        del waiting[:count]
        on_done(count)

    for outcome in _prepared(items, geometry, limits, threads=threads, ahead=2 * sizes[0]):
        if isinstance(outcome, Failure):
            failures.append(outcome)
            on_done(1)
            continue
        waiting.append(outcome)
        if len(waiting) == sizes[0]:
            run(sizes[0])
    while waiting:
        run(next(size for size in sizes if size <= len(waiting)))
    return Predictions(
        tuple(classes),
        tuple(read),
        np.concatenate(logits) if logits else np.empty((0, len(classes)), np.float32),
        tuple(failures),
    )


def _prepared(
    items: Sequence[LabelledItem], geometry: Geometry, limits: Limits, *, threads: int, ahead: int
) -> Iterator[Prepared | Failure]:
    """In order, at most `ahead` pictures in memory at once."""
    futures: deque[Future[Prepared | Failure]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="image") as pool:
        try:
            for item in items:
                futures.append(pool.submit(prepare, item, geometry, limits))
                if len(futures) == ahead:
                    yield futures.popleft().result()
            while futures:
                yield futures.popleft().result()
        finally:
            for future in futures:
                future.cancel()


def prepare(item: LabelledItem, geometry: Geometry, limits: Limits) -> Prepared | Failure:
    """One picture as a request's is prepared, or why not."""
    try:
        data = read_picture(item.path, limits.max_bytes)
        picture = decode(data, geometry=geometry, max_pixels=limits.max_pixels, keeps_picture=False)
        seen = preprocess(picture, geometry.steps)
    except RequestError as error:
        return Failure(item, error)
    return Prepared(item, seen.pixels, seen.to_original, Size(picture.height, picture.width))
