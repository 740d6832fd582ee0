"""What `lineside import` is told: places, class names, preprocessing, golden pictures."""

import io
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from app.bundles.golden import MAX_GOLDEN_IMAGE_BYTES
from app.bundles.manifest import MAX_MANIFEST_BYTES, parse_manifest
from app.checkpoints.dictionaries import classes_of
from app.checkpoints.found import Answers, Preprocessing
from app.cli.bundle_argument import free_place
from app.domain import Crop, Geometry, Normalisation, Resize, ResizeShorter, Size
from app.errors import InvalidRequest, ManifestInvalid
from app.evaluation.pictures import find_pictures

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)
CROP: Final = Size(224, 224)

PRESETS: Final[Mapping[str, tuple[Geometry, Normalisation]]] = {
    "imagenet": (
        Geometry((ResizeShorter(256, "bilinear"), Crop(CROP, "center"))),
        Normalisation("RGB", 1 / 255, IMAGENET_MEAN, IMAGENET_STD),
    ),
    "carcass": (
        Geometry((Resize(Size(373, 373), "nearest"), Crop(CROP, "bottom_right"))),
        Normalisation("RGB", 1 / 255),
    ),
}
"""imagenet: the evaluation of nearly every PyTorch tutorial. carcass: of the pig carcass model."""

MAX_GOLDEN_PICTURES: Final = 16
PAINTED_PICTURES: Final = 4


@dataclass(frozen=True, slots=True)
class Options:
    """The command line, as given."""

    checkpoint: Path
    out: Path | None = None
    architecture: str | None = None
    classes: str | None = None
    classes_from: Path | None = None
    preprocess: str | None = None
    images: Path | None = None
    take: str | None = None
    head: str | None = None
    head_activation: str | None = None
    head_pooling: str | None = None
    transform_input: str | None = None
    is_dry_run: bool = False

    def answers(self) -> Answers:
        """What concerns the inside of the file; raises InvalidRequest."""
        activation_at = None
        match self.head_activation:
            case None | "relu" | "none" as activation:
                pass
            case positions if re.fullmatch(
                r"\d{1,4}(\.\d{1,4}){0,7}(,\d{1,4}(\.\d{1,4}){0,7}){0,15}", positions, re.ASCII
            ):
                activation = None
                activation_at = tuple(tuple(map(int, at.split("."))) for at in positions.split(","))
            case other:
                raise InvalidRequest(
                    f"--head-activation {other}: relu, none, or the positions in the head at which ReLU stands, such as 3,6"
                )
        match self.head_pooling:
            case None | "max-average" | "average-max" as pooling:
                pass
            case other:
                raise InvalidRequest(f"--head-pooling {other}: max-average or average-max")
        if self.transform_input not in {None, "on", "off"}:
            raise InvalidRequest(f"--transform-input {self.transform_input}: on or off")
        transform_input = None if self.transform_input is None else self.transform_input == "on"
        return Answers(
            self.take, self.head, activation, activation_at, pooling, transform_input, self.architecture
        )

    def class_names(self) -> tuple[str, ...] | None:
        """None where neither option was given; raises InvalidRequest."""
        if self.classes is not None and self.classes_from is not None:
            raise InvalidRequest("--classes and --classes-from both name the classes; give one")
        if self.classes is not None:
            return tuple(name.strip() for name in self.classes.split(","))
        if self.classes_from is None:
            return None
        if self.classes_from.is_file():
            return _names_in(self.classes_from)
        if not self.classes_from.is_dir():
            raise InvalidRequest(f"--classes-from {self.classes_from}: neither a folder nor a file")
        # ImageFolder: the subfolders, sorted as text, so that 10 comes before 2.
        names = sorted(entry.name for entry in self.classes_from.iterdir() if entry.is_dir())
        if not names:
            raise InvalidRequest("--classes-from: there is no folder in it; it is the one above the classes")
        return tuple(names)

    def preprocessing(self, choices: Mapping[str, Preprocessing]) -> Preprocessing | None:
        """None where the option was not given; raises InvalidRequest or ManifestInvalid."""
        if self.preprocess is None:
            return None
        if self.preprocess in choices:
            return choices[self.preprocess]
        if self.preprocess in PRESETS:
            geometry, normalisation = PRESETS[self.preprocess]
            return Preprocessing(geometry, normalisation, f"--preprocess {self.preprocess}")
        path = Path(self.preprocess)
        if not path.is_file():
            raise InvalidRequest(
                f"--preprocess {self.preprocess}: neither a preset ({', '.join(PRESETS)}) nor a file"
            )
        geometry, normalisation = _from_toml(path)
        return Preprocessing(geometry, normalisation, f"--preprocess {path.name}")

    def place(self) -> Path:
        """<name>/<version>/ for the new bundle; raises InvalidRequest or ManifestInvalid."""
        if self.out is None:
            raise InvalidRequest("say where the bundle goes: --out models/NAME (or --dry-run to only look)")
        return free_place(self.out)


def _names_in(path: Path) -> tuple[str, ...]:
    """Of a script's own list: names or `class_to_idx` as JSON, or one name a line; raises InvalidRequest."""
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise InvalidRequest(f"--classes-from {path.name} is too large for a list of classes")
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"--classes-from {path.name} is no text in UTF-8") from error
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        names = tuple(line.strip() for line in text.splitlines() if line.strip())
    else:
        # Alone in the file, or under the key that it would have in a training dictionary.
        names = classes_of({"classes": value}) or classes_of({"meta": value}) or ()
    if len(names) < 2:
        raise InvalidRequest(
            f"--classes-from {path.name}: neither a list of names or their numbers from 0 on as JSON, such as "
            "class_to_idx, nor one name a line"
        )
    return names


def _from_toml(path: Path) -> tuple[Geometry, Normalisation]:
    """A whole manifest, or only its [preprocess] table."""
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise ManifestInvalid(f"{path.name} is too large for a manifest")
    data = path.read_bytes()
    try:
        is_whole = "architecture" in tomllib.loads(data.decode("utf-8-sig"))
    except ValueError as error:
        raise ManifestInvalid(f"{path.name} is not valid TOML: {error}") from error
    rest = b"" if is_whole else b'architecture = "any"\nclasses = ["a", "b"]\n'
    try:
        manifest = parse_manifest(rest + data.removeprefix(b"\xef\xbb\xbf"))
    except ManifestInvalid as error:
        raise ManifestInvalid(f"--preprocess {path.name}: {error.message}") from error
    return manifest.geometry(), manifest.normalisation()


# --- golden pictures ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A picture that may become golden."""

    name: str
    data: bytes
    class_name: str | None


def golden_files(folder: Path, classes: Sequence[str]) -> list[PictureFile]:
    """At most 16 pictures of a folder, spread over its subfolders.

    Raises:
        InvalidRequest: there is none.
    """
    rooms: dict[str, list[Path]] = {}
    for path in find_pictures([folder]):
        if path.is_file() and path.stat().st_size <= MAX_GOLDEN_IMAGE_BYTES:
            rooms.setdefault(path.absolute().parent.name, []).append(path)
    if not rooms:
        raise InvalidRequest("--images: no pictures there")
    chosen: list[Path] = []
    share = -(-MAX_GOLDEN_PICTURES // len(rooms))
    for paths in rooms.values():
        chosen += paths[:: max(1, len(paths) // share)][:share]
    files = []
    for number, path in enumerate(chosen[:MAX_GOLDEN_PICTURES], start=1):
        room = path.absolute().parent.name
        class_name = room if room in classes else None
        files.append(PictureFile(golden_name(number, path), path.read_bytes(), class_name))
    return files


def golden_name(number: int, path: Path) -> str:
    """A name for the copy, plain on every system: number, folder, file."""
    name = re.sub(r"[^\w.-]", "_", f"{number:02}-{path.absolute().parent.name}-{path.stem}", flags=re.ASCII)
    return f"{name[:120]}{path.suffix.lower()}"


def painted_files() -> list[PictureFile]:
    """Smooth random colours, where there are no pictures of the line: they prove the arithmetic, not the use."""
    files = []
    for seed in range(PAINTED_PICTURES):
        coarse = np.random.default_rng(seed).integers(0, 256, (6 + seed, 8, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((400 - 37 * seed, 300), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        files.append(PictureFile(f"painted-{seed + 1}.png", buffer.getvalue(), None))
    return files
