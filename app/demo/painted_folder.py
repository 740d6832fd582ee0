"""Paintings as a folder that `lineside finetune` trains on: train/, val/ and test/ of class folders.

seeds -> paintings -> FOLDER/train/boar/scene-0000012.jpg ..., as a camera would deliver them

A file's name is its scene, so that the name tells which pictures differ in nothing but the class
(`group_by` in examples/painted.toml). The same files come out on every machine with this Pillow.
"""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from app.bundles.files import write_atomically
from app.demo.painted_set import TEST_SEEDS, Job, every_class, one_class_each
from app.demo.painter import painted_file

TRAINING_SEEDS: Final = range(240)
"""Each scene in its three classes: only the cue can tell these apart."""
VALIDATION_SEEDS: Final = range(500_000, 500_060)
"""Watched while training; nothing is chosen by them."""
GOLDEN_SEEDS: Final = {
    "castrate": (2_000_001, 2_000_007, 2_000_010),
    "boar": (2_000_002, 2_000_008, 2_000_020),
    "female": (2_000_005, 2_000_016, 2_000_022),
}
"""Chosen by eye for their variety, alike in every class: the page shows them as samples."""


def painted_files() -> dict[str, Job]:
    """Name below the folder -> what is painted there."""
    sides = {
        "train": every_class(TRAINING_SEEDS),
        "val": one_class_each(VALIDATION_SEEDS),
        "test": one_class_each(TEST_SEEDS),
    }
    files = {
        f"{side}/{class_name}/scene-{seed:07}.jpg": (class_name, seed)
        for side, jobs in sides.items()
        for class_name, seed in jobs
    }
    for class_name, seeds in GOLDEN_SEEDS.items():
        for number, seed in enumerate(seeds, start=1):
            files[f"val/{class_name}/{class_name}-{number:04}.jpg"] = class_name, seed
    return files


def paint_folder(folder: Path, files: dict[str, Job], *, workers: int = 2) -> Iterator[int]:
    """Write those that are not there yet; yields how many are done."""
    missing = {name: job for name, job in files.items() if not (folder / name).exists()}
    yield (done := len(files) - len(missing))
    for parent in {(folder / name).parent for name in missing}:
        parent.mkdir(parents=True, exist_ok=True)
    # spawn: a fork of a process in which other threads run may hang.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for _ in pool.map(partial(_write, folder), missing.items(), chunksize=8):
            yield (done := done + 1)


def _write(folder: Path, named: tuple[str, Job]) -> None:
    name, job = named
    # Whole or not at all: what a killed run half wrote would be trained on by the next.
    write_atomically(folder / name, painted_file(*job))
