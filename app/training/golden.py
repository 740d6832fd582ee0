"""The golden images of a trained bundle: which pictures, under which names, with which logits.

Trained -> pictures of the validation side, or those that the configuration names -> GoldenPicture
"""

import re
import threading
from collections.abc import Sequence
from typing import Final

import numpy as np

from app.bundles.golden import GoldenPicture
from app.bundles.problems import did_you_mean
from app.engines.torch_engine import TorchEngine
from app.errors import RequestError, TrainingRefused
from app.images.decode import decode
from app.images.preprocess import preprocess
from app.training.folder import File
from app.training.trained import Placed, Trained

MAX_GOLDEN: Final = 16
MAX_GOLDEN_BYTES: Final = 2 * 2**20
"""Of one golden image, where the class has one so small; a bundle is copied and cloned."""


def golden_pictures(trained: Trained, *, max_pixels: int) -> list[GoldenPicture]:
    """Some pictures of every class, as their files are, with the CPU's float32 logits."""
    engine = TorchEngine(trained.servable, "cpu", lock=threading.Lock())
    geometry, outputs = trained.manifest.geometry(), trained.configuration.outputs
    if outputs.golden:
        chosen = named_files(outputs.golden, trained.placed)
    else:
        count = len(trained.classes)
        chosen = spread_files(trained.validation.files, count, per_class=outputs.golden_per_class)
    pictures = []
    for file, name in zip(
        chosen, golden_names(chosen, trained.classes, are_named=bool(outputs.golden)), strict=True
    ):
        try:
            data = file.path.read_bytes()
            picture = decode(data, geometry=geometry, max_pixels=max_pixels)
        except (OSError, RequestError) as error:
            raise TrainingRefused(
                f"{file.name} could be read before and cannot be now; put it back and run the same command again"
            ) from error
        logits = engine.run(preprocess(picture, geometry.steps).pixels[np.newaxis]).logits[0]
        pictures.append(GoldenPicture(name, data, logits, trained.classes[file.class_index]))
    return pictures


def spread_files(files: Sequence[File], class_count: int, *, per_class: int) -> list[File]:
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


def named_files(names: Sequence[str], placed: Sequence[Placed]) -> list[File]:
    """The pictures of `outputs.golden`, in its order.

    Raises:
        TrainingRefused: more than 16, or one that is not there, is damaged, or was trained on: what a network
            learnt by heart does not tell whether it is the network that was measured.
    """
    if len(names) > MAX_GOLDEN:
        raise TrainingRefused(f"outputs.golden names {len(names)} pictures; {MAX_GOLDEN} at most")
    by_name = {each.file.name: each for each in placed}
    files = []
    for name in dict.fromkeys(names):
        if (each := by_name.get(name)) is None:
            raise TrainingRefused(
                f"outputs.golden: `{name}` is no picture of the folder{did_you_mean(name, by_name)}"
            )
        if each.side not in {"validation", "test"}:
            where = "on the side train" if each.side else f"damaged ({each.damage})"
            raise TrainingRefused(
                f"outputs.golden: `{name}` is {where}; name pictures of the validation or test side"
            )
        files.append(each.file)
    return files


def golden_names(files: Sequence[File], classes: Sequence[str], *, are_named: bool) -> list[str]:
    """Of their copies in golden/: pictures that somebody named keep their own names where no two are alike."""
    own = [_plain(file, file.path.stem) for file in files]
    if are_named and len({name.lower() for name in own}) == len(own):
        return own
    return [
        _plain(file, f"{number:02}-{classes[file.class_index]}-{file.path.stem}")
        for number, file in enumerate(files, start=1)
    ]


def _plain(file: File, name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)[:120] + file.path.suffix.lower()
