"""From a folder of photographs to a trained network and what it was measured to do.

folder -> listed -> every picture read once -> split -> begun -> train -> measured on the serving engine -> Trained

The bundle is `bundle.py`'s; screens are the command line's.
"""

import hashlib
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from app.engines.torch_engine import TorchEngine, resolve_device
from app.errors import TrainingRefused
from app.evaluation.calibration import fit_temperature
from app.evaluation.groups import grouping
from app.nets.servable import Servable
from app.training.configuration import Configuration
from app.training.copies import common_digests, seen_before, warnings_of_copies
from app.training.folder import SIDES, Side, list_folder
from app.training.golden import named_files
from app.training.pictures import Pictures, Read
from app.training.split import Item, split
from app.training.start import begun
from app.training.train import Material, train
from app.training.trained import Measured, Placed, Trained
from app.training.watch import Watcher
from app.training.work import held, refuse_foreign

ENGINE_BATCH = 16
MANY_GROUPS = 0.9
"""Of the pictures: with more groups than this, what should stand together hardly does."""
LEAST_FOR_TEMPERATURE = 30
"""Validation pictures. Six of them once made a network that guessed four times as sure."""


def finetune(
    folder: Path,
    configuration: Configuration,
    *,
    work_folder: Path,
    restart: bool = False,
    max_pixels: int,
    watcher: Watcher,
) -> Trained:
    """Train what the configuration says on the folder's pictures, or go on with it.

    Args:
        folder: class folders, or train/, val/ and perhaps test/ of them.
        configuration: every decision.
        work_folder: where an interrupted training is kept; the caller clears it once the bundle is in place.
        restart: throw away what lies there.
        max_pixels: larger pictures count as damaged.
        watcher: told how it goes.

    Raises:
        TrainingRefused: the folder, the configuration, the starting weights or the disk.
        TrainingStopped: the watcher wished so; the same call goes on.
    """
    refuse_foreign(work_folder)
    group_of = grouping(configuration.data.group_by)
    listed = list_folder(folder, configuration.classes)
    for sentence in listed.passed_over:
        watcher.say(sentence)
    manifest = configuration.manifest(listed.classes)
    _check_precision(configuration)
    device = torch.device(resolve_device(configuration.machine.device))
    with (
        determined(configuration.machine.threads),
        Pictures(
            listed.files,
            manifest.geometry(),
            manifest.network_spec().input_size,
            max_pixels=max_pixels,
            threads=configuration.machine.image_threads,
            max_cache_bytes=configuration.machine.cache_mib * 2**20,
        ) as pictures,
    ):
        # Before the pictures are read, which may take long: a wrong start is known at once.
        servable, origin = begun(manifest.network_spec(), configuration.start, seed=configuration.seed)
        watcher.say(f"begins from {origin}")
        count = len(listed.files)
        reads = pictures.read_all(group_of, lambda done: watcher.reading(done, count))
        placed = placed_pictures(reads, listed.classes, configuration, watcher)
        named_files(configuration.outputs.golden, placed)  # what is wrong there is known before the training
        labels = np.array([each.file.class_index for each in placed], np.int64)
        sides = {side: _indices(placed, side) for side in SIDES}
        groups = _groups(placed, sides["train"], configuration)
        material = Material(pictures, labels, sides["train"], sides["validation"], groups)
        _say_split(placed, listed.classes, watcher)
        with held(work_folder, _identity(configuration, placed), restart=restart) as work:
            history = train(servable, material, configuration, device=device, work=work, watcher=watcher)
        measured = {side: measure(servable, pictures, labels, placed, side, device) for side in SIDES[1:]}
        servable.to("cpu")
    validation = measured["validation"]
    if validation is None:  # pragma: no cover - the split refuses it
        raise AssertionError
    temperature = 1.0
    if configuration.outputs.temperature_scaling:
        temperature = _temperature(validation, watcher)
    return Trained(
        configuration=configuration,
        manifest=configuration.manifest(listed.classes, temperature),
        servable=servable,
        origin=origin,
        placed=tuple(placed),
        history=tuple(history),
        validation=validation,
        test=measured["test"],
    )


def placed_pictures(
    reads: Sequence[Read], classes: Sequence[str], configuration: Configuration, watcher: Watcher
) -> list[Placed]:
    """Every picture with its side; raises TrainingRefused where too many are damaged or the split cannot be."""
    damaged = [read for read in reads if read.damage is not None]
    for read in damaged:
        watcher.say(f"skipped {read.file.name}: {read.damage}")
    share = len(damaged) / len(reads)
    if share > configuration.data.max_damaged_share:
        raise TrainingRefused(
            f"{len(damaged)} of {len(reads)} pictures ({share:.1%}) cannot be used, the first {damaged[0].file.name}: "
            f"{damaged[0].damage}. data.max_damaged_share allows {configuration.data.max_damaged_share:.1%}"
        )
    good = [read for read in reads if read.damage is None]
    if configuration.data.group_by != "none" and (lost := [read for read in good if read.group is None]):
        raise TrainingRefused(
            f"--group-by {configuration.data.group_by}: {len(lost)} of {len(good)} pictures say nothing, the first "
            f"{lost[0].file.name}; give a regular expression that matches every name"
        )
    if configuration.data.group_by != "none":
        _say_groups(len({read.group for read in good}), len(good), watcher)
    sides = split(
        [
            Item(read.file.class_index, digest, read.file.side, read.group)
            for read, digest in zip(good, common_digests(good), strict=True)
        ],
        classes,
        seed=configuration.seed,
        validation_share=configuration.data.validation_share,
        test_share=configuration.data.test_share,
    )
    side_of = {read.file.name: side for read, side in zip(good, sides, strict=True)}
    placed = [
        Placed(read.file, side_of.get(read.file.name), read.group, read.digest, read.pixels, read.damage)
        for read in reads
    ]
    for warning in warnings_of_copies(each for each in placed if each.side):
        watcher.say(warning)
    return placed


def measure(
    servable: Servable,
    pictures: Pictures,
    labels: NDArray[np.int64],
    placed: Sequence[Placed],
    side: Side,
    device: torch.device,
) -> Measured | None:
    """Logits of one side from the engine that serves; None where the side is empty."""
    which = _indices(placed, side)
    if not len(which):
        return None
    engine = TorchEngine(servable, str(device), lock=threading.Lock())
    batches = np.array_split(which, -(-len(which) // ENGINE_BATCH))
    logits = np.concatenate([engine.run(pixels).logits for _, pixels in pictures.batches(batches)])
    groups = tuple(group for number in which if (group := placed[number].group) is not None)
    return Measured(
        side,
        tuple(pictures.files[number] for number in which),
        labels[which],
        logits,
        seen_before(placed, side),
        groups or None,
    )


@contextmanager
def determined(threads: int) -> Iterator[None]:
    """Within, the same seed gives the same numbers; torch's own settings are put back afterwards."""
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    threads_before = torch.get_num_threads()
    # Read by cuBLAS when it is first used; without it, matrix products on CUDA differ from run to run.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    if threads:
        torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.use_deterministic_algorithms(mode=before[0], warn_only=before[1])
        torch.set_num_threads(threads_before)


def _temperature(validation: Measured, watcher: Watcher) -> float:
    if (count := len(validation.labels)) < LEAST_FOR_TEMPERATURE:
        watcher.say(
            f"no temperature is fitted: the validation side has {count} pictures, {LEAST_FOR_TEMPERATURE} at least would tell one"
        )
        return 1.0
    return round(fit_temperature(validation.logits, validation.labels), 4)


def _check_precision(configuration: Configuration) -> None:
    is_cpu = resolve_device(configuration.machine.device) == "cpu"
    if configuration.training.precision == "float16" and is_cpu:
        raise TrainingRefused("training.precision float16 needs CUDA; on the CPU take float32 or bfloat16")


def _groups(
    placed: Sequence[Placed], training: NDArray[np.int64], configuration: Configuration
) -> NDArray[np.int64] | None:
    """(N,) numbers of the groups; raises TrainingRefused where one does not fit into a batch that must hold it."""
    if configuration.data.group_by == "none":
        return None
    names, groups = np.unique([each.group or "" for each in placed], return_inverse=True)
    counts = np.bincount(groups[training], minlength=len(names))
    largest = int(counts.argmax())
    batch_size = configuration.training.batch_size
    if configuration.training.batches == "groups" and counts[largest] > batch_size:
        raise TrainingRefused(
            f'training.batches = "groups": the group {names[largest]} has {counts[largest]} pictures to train on, '
            f"more than training.batch_size {batch_size}; raise it, or group by something smaller"
        )
    return groups.astype(np.int64)


def _identity(configuration: Configuration, placed: Sequence[Placed]) -> str:
    """What an interrupted training must share with the one that goes on with it."""
    digest = hashlib.sha256(configuration.identity().encode())
    for each in placed:
        digest.update(f"{each.file.name}\0{each.side}\0{each.digest}\n".encode())
    return digest.hexdigest()


def _indices(placed: Sequence[Placed], side: Side) -> NDArray[np.int64]:
    return np.array([number for number, each in enumerate(placed) if each.side == side], np.int64)


def _say_groups(count: int, pictures: int, watcher: Watcher) -> None:
    watcher.say(f"{count} groups over {pictures} pictures")
    if count > MANY_GROUPS * pictures:
        watcher.say(
            "warning: nearly every picture is a group by itself, so hardly anything is kept on one side; "
            "does --group-by match what pictures of one group share?"
        )


def _say_split(placed: Sequence[Placed], classes: Sequence[str], watcher: Watcher) -> None:
    counts = Counter((each.side, each.file.class_index) for each in placed)
    for side in SIDES:
        shown = ", ".join(f"{name} {counts[side, index]}" for index, name in enumerate(classes))
        if any(counts[side, index] for index in range(len(classes))):
            watcher.say(f"{side}: {shown}")
