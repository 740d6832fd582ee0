"""A trained network as a bundle, in its place only once it has proved itself.

Trained -> weights, manifest, golden images of the validation set, card, training/ -> built beside -> proved -> renamed

An earlier version is never touched, and nothing of a failed one remains.
"""

import re
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import PIL
import torch
from safetensors.torch import save

from app import __version__
from app.bundles.files import write_atomically
from app.bundles.golden import GoldenPicture
from app.bundles.repository import place_of
from app.bundles.writer import write_bundle
from app.engines.torch_engine import TorchEngine
from app.errors import BundleRefused, RequestError, TrainingRefused
from app.images.decode import decode
from app.images.preprocess import preprocess
from app.nets.naming import BATCH_COUNTER
from app.nets.servable import servable_state
from app.training.card import model_card
from app.training.configuration import write_configuration
from app.training.folder import File
from app.training.records import history_csv, pred_sol, split_csv, summary_txt
from app.training.report import report_files
from app.training.trained import Trained
from app.wiring import Proved, prove

MAX_GOLDEN: Final = 16
MAX_GOLDEN_BYTES: Final = 2 * 2**20
"""Of one golden image, where the class has one so small; a bundle is copied and cloned."""
RECORDS: Final = "training"
"""Folder in the bundle; the server does not look into it."""


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
            proved = prove(
                new, device="cpu", device_lock=threading.Lock(), batch_sizes=(1,), max_pixels=max_pixels
            )
            proved.engine.close()
            if place.exists():
                raise BundleRefused(f"{name}/{version} exists already; a version is never overwritten")
            place.parent.mkdir(exist_ok=True)
            new.rename(place)
    except OSError as error:
        raise TrainingRefused(
            f"{name}/{version} cannot be written: {error.strerror}. The training is kept; make room and run the same command again"
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


def golden_pictures(trained: Trained, *, max_pixels: int) -> list[GoldenPicture]:
    """Some validation pictures of every class, as their files are, with the CPU's float32 logits."""
    engine = TorchEngine(trained.servable, "cpu", lock=threading.Lock())
    geometry = trained.manifest.geometry()
    chosen = golden_files(
        trained.validation.files,
        len(trained.classes),
        per_class=trained.configuration.outputs.golden_per_class,
    )
    pictures = []
    for number, file in enumerate(chosen, start=1):
        try:
            data = file.path.read_bytes()
            picture = decode(data, geometry=geometry, max_pixels=max_pixels)
        except (OSError, RequestError) as error:
            raise TrainingRefused(
                f"{file.name} could be read before and cannot be now; put it back and run the same command again"
            ) from error
        logits = engine.run(preprocess(picture, geometry.steps).pixels[np.newaxis]).logits[0]
        class_name = trained.classes[file.class_index]
        name = re.sub(r"[^\w.-]", "_", f"{number:02}-{class_name}-{file.path.stem}", flags=re.ASCII)[:120]
        pictures.append(GoldenPicture(f"{name}{file.path.suffix.lower()}", data, logits, class_name))
    return pictures


def golden_files(files: Sequence[File], class_count: int, *, per_class: int) -> list[File]:
    """Spread evenly over each class's files, small ones first in line; 16 at most, spread over the classes."""
    share = max(1, min(per_class, MAX_GOLDEN // class_count))
    chosen = []
    step = -(-class_count // MAX_GOLDEN)
    for index in range(0, class_count, step):
        mine = [file for file in files if file.class_index == index]
        sizes = {file.name: file.path.stat().st_size for file in mine}
        small = [file for file in mine if sizes[file.name] <= MAX_GOLDEN_BYTES]
        mine = small or [min(mine, key=lambda file: sizes[file.name])]
        chosen += mine[:: max(1, len(mine) // share)][:share]
    return chosen
