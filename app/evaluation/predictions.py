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

from app.domain import Geometry
from app.engines.base import Engine
from app.errors import RequestError
from app.evaluation.labelled import LabelledItem
from app.evaluation.metrics import Figures, Indices, figures
from app.evaluation.pictures import read_picture
from app.explain.maps import softmax
from app.images.decode import decode
from app.images.preprocess import preprocess

Pixels = NDArray[np.uint8]


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

    def mistakes(self, count: int) -> list[int]:
        """Positions of the worst: those that the model was surest of; ties by position."""
        wrong = np.flatnonzero(self.predicted != self.true)
        sureness = self.probabilities.max(axis=1)[wrong]
        return [int(position) for position in wrong[np.argsort(-sureness, kind="stable")][:count]]


def predict_items(
    engine: Engine,
    geometry: Geometry,
    items: Sequence[LabelledItem],
    classes: Sequence[str],
    *,
    batch_sizes: Sequence[int],
    threads: int,
    limits: Limits,
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
        on_done: told how many more pictures are finished, on the calling thread.
    """
    sizes = sorted(set(batch_sizes), reverse=True)
    waiting: list[tuple[LabelledItem, Pixels]] = []
    read: list[LabelledItem] = []
    logits: list[NDArray[np.float32]] = []
    failures: list[Failure] = []

    def run(count: int) -> None:
        logits.append(engine.run(np.stack([pixels for _, pixels in waiting[:count]])).logits)
        read.extend(item for item, _ in waiting[:count])
        del waiting[:count]
        on_done(count)

    for item, outcome in _prepared(items, geometry, limits, threads=threads, ahead=2 * sizes[0]):
        if isinstance(outcome, RequestError):
            failures.append(Failure(item, outcome))
            on_done(1)
            continue
        waiting.append((item, outcome))
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
) -> Iterator[tuple[LabelledItem, Pixels | RequestError]]:
    """In order, at most `ahead` pictures in memory at once."""
    futures: deque[tuple[LabelledItem, Future[Pixels | RequestError]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="image") as pool:
        try:
            for item in items:
                futures.append((item, pool.submit(_pixels, item, geometry, limits)))
                if len(futures) == ahead:
                    first, future = futures.popleft()
                    yield first, future.result()
            while futures:
                first, future = futures.popleft()
                yield first, future.result()
        finally:
            for _, future in futures:
                future.cancel()


def _pixels(item: LabelledItem, geometry: Geometry, limits: Limits) -> Pixels | RequestError:
    try:
        data = read_picture(item.path, limits.max_bytes)
        picture = decode(data, geometry=geometry, max_pixels=limits.max_pixels)
        return preprocess(picture, geometry.steps).pixels
    except RequestError as error:
        return error
