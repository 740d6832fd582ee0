"""The painted carcasses as a folder of photographs, for `lineside finetune`.

seeds -> FOLDER/train|val|test/<class>/<class>-<seed>.jpg

Knows no network and imports no torch, so that its worker processes start quickly.
"""

import io
import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from PIL import Image

from app.demo.painted_set import TEST_SEEDS, Job, every_class, one_class_each
from app.demo.painter import paint

TRAINING_SEEDS: Final = range(240)
VALIDATION_SEEDS: Final = range(500_000, 500_060)
"""Watched while training; nothing is chosen by them."""
QUALITY: Final = 82
"""JPEG: about 55 kB a picture; nine golden ones leave the bundle below 1.5 MB."""


SIDES: Final[Mapping[str, Sequence[Job]]] = {
    "train": every_class(TRAINING_SEEDS),
    "val": one_class_each(VALIDATION_SEEDS),
    "test": one_class_each(TEST_SEEDS),
}
"""1,080 pictures, 60 MB: every scene in all three classes to learn from, one class each to watch and to measure."""


def paint_folder(folder: Path, sides: Mapping[str, Sequence[Job]] = SIDES, *, workers: int = 2) -> None:
    """Side -> (class, seed) pairs, as files; the number of workers changes nothing but the time."""
    jobs = [(side, job) for side, its in sides.items() for job in its]
    for side, (class_name, _) in jobs:
        (folder / side / class_name).mkdir(parents=True, exist_ok=True)
    # spawn: a fork of a process in which torch has started threads may hang.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(partial(_write, folder), jobs, chunksize=8))


def painted_file(class_name: str, seed: int) -> bytes:
    """One painting as a camera would deliver it."""
    file = io.BytesIO()
    Image.fromarray(paint(class_name, seed).image).save(file, "JPEG", quality=QUALITY, optimize=True)
    return file.getvalue()


def _write(folder: Path, placed: tuple[str, Job]) -> None:
    side, (class_name, seed) = placed
    path = folder / side / class_name / f"{class_name}-{seed:07}.jpg"
    path.write_bytes(painted_file(class_name, seed))
