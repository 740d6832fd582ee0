"""Many paintings at once, at the size the network takes.

(class, seed) pairs -> paint -> the manifest's geometry -> images, classes, cue masks

Knows no network and imports no torch, so that its worker processes start quickly.
"""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.demo.painter import CLASSES, HEIGHT, WIDTH, paint
from app.domain import Affine, Geometry
from app.images.decode import Picture
from app.images.preprocess import Preprocessed, preprocess

Job = tuple[str, int]
"""A class and a seed."""
TEST_SEEDS = range(1_000_000, 1_000_300)
"""Never trained on, never chosen by: the published figures are measured on these."""


@dataclass(frozen=True, slots=True)
class PaintedSet:
    """N paintings."""

    images: NDArray[np.uint8]
    """(N, h, w, 3), RGB, what the network takes."""
    to_painting: Affine
    """From these pixels to the painting's; one for all, since all are of one size."""
    targets: NDArray[np.int64]
    """(N,), index into CLASSES."""
    packed_masks: NDArray[np.uint8]
    """(N, 55104): one bit for each of 574 x 768 pixels, 300 masks in 16 MB."""

    def cue_mask(self, index: int) -> NDArray[np.bool_]:
        """(574, 768), in the painting's own pixels."""
        bits = np.unpackbits(self.packed_masks[index], count=HEIGHT * WIDTH)
        return bits.reshape(HEIGHT, WIDTH).astype(np.bool_)


def every_class(seeds: Sequence[int]) -> list[Job]:
    """Each scene in all three classes: only the cue can tell these apart."""
    return [(class_name, seed) for seed in seeds for class_name in CLASSES]


def one_class_each(seeds: Sequence[int]) -> list[Job]:
    """Each scene once, the classes in turn."""
    return [(CLASSES[seed % len(CLASSES)], seed) for seed in seeds]


def paint_set(jobs: Sequence[Job], geometry: Geometry, *, workers: int = 2) -> PaintedSet:
    """Paint them all, in this order; the number of workers changes nothing but the time."""
    # spawn: a fork of a process in which torch has started threads may hang.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        painted = list(pool.map(partial(_one, geometry), jobs, chunksize=8))
    first, _ = painted[0]
    return PaintedSet(
        images=np.stack([seen.pixels for seen, _ in painted]),
        to_painting=first.to_original,
        targets=np.array([CLASSES.index(class_name) for class_name, _ in jobs], np.int64),
        packed_masks=np.stack([mask for _, mask in painted]),
    )


def network_input(image: Image.Image, geometry: Geometry) -> Preprocessed:
    """By the code that serves, so that training and serving cannot part."""
    return preprocess(Picture(image, "PNG", ()), geometry.steps)


def _one(geometry: Geometry, job: Job) -> tuple[Preprocessed, NDArray[np.uint8]]:
    painting = paint(*job)
    return network_input(Image.fromarray(painting.image), geometry), np.packbits(painting.cue_mask)
