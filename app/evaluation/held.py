"""Labelled pictures, decoded once and held, and what a network says of them under any declaration.

items -> [decode once] -> held pictures; declaration -> pixels -> network -> log-probabilities (N, K)

Memory is bounded: pictures beyond the bound are left out and counted; of the prepared pixels only one
declaration's are kept. Answers are kept by the pixels they were given for, so that two declarations that
make the same pixels of these pictures cost one forward pass.
"""

import hashlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain import Geometry, Normalisation, Size
from app.engines.torch_engine import TorchEngine
from app.errors import RequestError
from app.evaluation.declarations import Declaration, Steps
from app.evaluation.labelled import LabelledItem
from app.evaluation.likelihood import LEAST_LOG_PROBABILITY, log_probabilities
from app.evaluation.metrics import Floats, Indices
from app.evaluation.pictures import read_picture
from app.evaluation.predictions import Failure, Limits
from app.evaluation.statistics import BatchMemory, Moments
from app.images.decode import Picture, decode
from app.images.preprocess import preprocess
from app.nets.servable import Servable, behind

MAX_HELD_BYTES: Final = 1024 * 1024 * 1024
"""40 pictures of 6 megapixels."""
BATCH: Final = 8

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class HeldPictures:
    """Decoded pictures of known classes."""

    pictures: tuple[Picture, ...]
    true: Indices
    """(N,)."""
    failures: tuple[Failure, ...] = ()
    left_out: int = 0
    """Pictures that would not have fitted into memory."""


def hold(
    items: Sequence[LabelledItem],
    geometry: Geometry,
    limits: Limits,
    *,
    max_held_bytes: int = MAX_HELD_BYTES,
    on_done: Callable[[int], None] = lambda _count: None,
) -> HeldPictures:
    """Decodes the items in their order, each once, until the memory is used up.

    In full, whatever the manifest says of decoding: other steps will be tried on them.
    """
    geometry = replace(geometry, decode="exact")
    pictures: list[Picture] = []
    true: list[int] = []
    failures: list[Failure] = []
    held_bytes = 0
    for position, item in enumerate(items):
        try:
            data = read_picture(item.path, limits.max_bytes)
            picture = decode(data, geometry=geometry, max_pixels=limits.max_pixels)
        except RequestError as error:
            failures.append(Failure(item, error))
            continue
        finally:
            on_done(1)
        held_bytes += picture.nbytes
        if pictures and held_bytes > max_held_bytes:
            return HeldPictures(tuple(pictures), _indices(true), tuple(failures), len(items) - position)
        pictures.append(picture)
        true.append(item.class_index)
    return HeldPictures(tuple(pictures), _indices(true), tuple(failures))


def _indices(values: list[int]) -> Indices:
    return np.array(values, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a network says of one picture under one declaration."""

    log_probability: Floats
    """(K,)."""
    moments: Moments
    """(2, C), as `statistics.BatchMemory` hears them; C is 0 without batch normalisation."""


@dataclass
class Witness:
    """One network that is asked about held pictures, again and again."""

    servable: Servable
    held: HeldPictures
    device: str
    pool: ThreadPoolExecutor
    answers: dict[Declaration, list[Answer]] = field(default_factory=dict)
    """Of each declaration, for the first pictures."""
    passes: int = 0
    """Pictures that went through the network."""
    _known: dict[tuple[Normalisation, bytes], Answer] = field(default_factory=dict)
    _engines: dict[tuple[Normalisation, Size], TorchEngine] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.memory = BatchMemory(self.servable.trunk)

    def ask(self, declarations: Sequence[Declaration], count: int, on_done: Callable[[int], None]) -> None:
        """Fills `answers` for the first `count` pictures; what was answered before is not asked again."""
        by_steps: dict[tuple[Steps, int], list[Declaration]] = {}
        for declaration in dict.fromkeys(declarations):
            known = self.answers.setdefault(declaration, [])
            if len(known) < count:
                by_steps.setdefault((declaration.steps, len(known)), []).append(declaration)
            else:
                on_done(1)
        for (steps, first), those in by_steps.items():
            pixels = self._pixels(steps, first, count)
            digests = [
                hashlib.blake2b(each.data, digest_size=16).digest() for each in pixels if each is not None
            ]
            prepared = [each for each in pixels if each is not None]
            for declaration in those:
                answered = iter(self._answered(declaration, prepared, digests))
                nothing = Answer(
                    np.full(self.servable.spec.class_count, LEAST_LOG_PROBABILITY),
                    np.zeros((2, len(self.memory.mean)), np.float32),
                )
                self.answers[declaration] += [nothing if each is None else next(answered) for each in pixels]
                on_done(1)

    def log_probabilities(self, declaration: Declaration, count: int) -> Floats:
        """(count, K)."""
        return np.stack([answer.log_probability for answer in self.answers[declaration][:count]])

    def moments(self, declaration: Declaration, count: int) -> Moments:
        """(count, 2, C)."""
        return np.stack([answer.moments for answer in self.answers[declaration][:count]])

    def close(self) -> None:
        """Lets go of the network."""
        for engine in self._engines.values():
            engine.close()

    def _pixels(self, steps: Steps, first: int, last: int) -> list[Pixels | None]:
        def prepared(picture: Picture) -> Pixels | None:
            try:
                return preprocess(picture, steps).pixels
            except RequestError:  # a very elongated picture, under a step that training cannot have done
                return None

        return list(self.pool.map(prepared, self.held.pictures[first:last]))

    def _answered(
        self, declaration: Declaration, pixels: Sequence[Pixels], digests: Sequence[bytes]
    ) -> list[Answer]:
        normalisation = declaration.normalisation
        new = [number for number, digest in enumerate(digests) if (normalisation, digest) not in self._known]
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            engine = self._engine(normalisation, declaration.input_size)
            with self.memory.listening() as heard:
                output = engine.run(np.stack([pixels[number] for number in batch]))
            self.passes += len(batch)
            found = log_probabilities(output.logits)
            moments = heard[0] if heard else np.empty((len(batch), 2, 0), np.float32)
            for number, row, mine in zip(batch, found, moments, strict=True):
                self._known[normalisation, digests[number]] = Answer(row, mine)
        return [self._known[normalisation, digest] for digest in digests]

    def _engine(self, normalisation: Normalisation, size: Size) -> TorchEngine:
        key = (normalisation, size)
        if key not in self._engines:
            servable = behind(self.servable, normalisation, size)
            self._engines[key] = TorchEngine(servable, self.device, lock=self._lock)
        return self._engines[key]
