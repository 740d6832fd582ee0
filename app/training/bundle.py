"""A trained network as a bundle, in its place only once it has proved itself.

Trained -> weights, manifest, golden images of the validation set, card, training/ -> built beside -> proved -> renamed

An earlier version is never touched, and nothing of a failed one remains.
"""

import errno
import os
import tempfile
from pathlib import Path
from typing import Final

import PIL
import torch
from safetensors.torch import save

from app import __version__
from app.bundles.files import write_atomically
from app.bundles.repository import place_of
from app.bundles.writer import write_bundle
from app.errors import BundleRefused, TrainingRefused
from app.nets.naming import BATCH_COUNTER
from app.nets.servable import servable_state
from app.training.card import model_card
from app.training.configuration_text import write_configuration
from app.training.golden import golden_pictures
from app.training.records import history_csv, pred_sol, split_csv, summary_txt
from app.training.report import report_files
from app.training.trained import Trained
from app.wiring import Machine, Proved, prove

RECORDS: Final = "training"
"""Folder in the bundle; the server does not look into it."""
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What room would help against."""


def check_place(place: Path) -> None:
    """Raises TrainingRefused where no bundle could be written: better before the training than after it."""
    try:
        place.parent.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent.parent, prefix=".making-"):
            pass
        if place.parent.exists() and not os.access(place.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise TrainingRefused(
            f"--out {place.parent}: cannot be written ({error.strerror}); name another place"
        ) from error


def put_in_place(trained: Trained, place: Path, *, max_pixels: int) -> Proved:
    """Write <name>/<version>/ and prove it as the server will.

    Raises:
        BundleRefused: it is there already, or does not prove itself.
        TrainingRefused: the disk is full, or a picture vanished.
    """
    name, version = place_of(place)
    try:
        place.parent.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent.parent, prefix=".making-") as workshop:
            new = Path(workshop) / name / str(version)
            _write(trained, new, max_pixels=max_pixels)
            proved = prove(new, machine=Machine.reference(), batch_sizes=(1,), max_pixels=max_pixels)
            proved.engine.close()
            if place.exists():
                raise BundleRefused(f"{name}/{version} exists already; a version is never overwritten")
            place.parent.mkdir(exist_ok=True)
            new.rename(place)
    except OSError as error:
        remedy = "make room" if error.errno in FULL else "put that right"
        raise TrainingRefused(
            f"{name}/{version} cannot be written: {error.strerror}. The training is kept; {remedy} and run the same command again"
        ) from error
    return proved


def _write(trained: Trained, folder: Path, *, max_pixels: int) -> None:
    weights = {
        name: tensor
        for name, tensor in servable_state(trained.servable).items()
        if not name.endswith(BATCH_COUNTER)
    }
    write_bundle(
        folder,
        manifest=trained.manifest,
        # Not save_file: its error on a full disk is no OSError.
        write_weights=lambda path: write_atomically(path, save(weights)),
        pictures=golden_pictures(trained, max_pixels=max_pixels),
        made_with={
            "lineside": __version__,
            "torch": torch.__version__,
            "pillow": PIL.__version__,
            "device": "cpu",
            "precision": "float32",
        },
    )
    records = {
        "config.toml": write_configuration(trained.configuration).encode(),
        "history.csv": history_csv(trained.history).encode(),
        "split.csv": split_csv(trained.placed, trained.classes).encode(),
        **report_files(trained, name=f"{folder.parent.name}/{folder.name}", max_pixels=max_pixels),
    }
    if trained.configuration.outputs.pred_sol:
        measured = trained.test or trained.validation
        records["pred.sol"] = pred_sol(measured, trained.classes, trained.temperature).encode()
        records["summary.txt"] = summary_txt(trained).encode()
    (folder / RECORDS).mkdir()
    write_atomically(folder / "README.md", model_card(trained).encode())
    for name, data in records.items():
        write_atomically(folder / RECORDS / name, data)
