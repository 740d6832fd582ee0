"""Golden images: pictures with the logits they had when the bundle was made, to prove a machine by.

golden/golden.json + images -> read_golden -> Golden
pictures + logits -> write_golden -> golden/

Knows neither images nor engines: it keeps bytes and numbers, others decode and predict.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from app.bundles.files import is_there, one_line, plain_file_name, read_inside, write_atomically
from app.bundles.problems import Keys, did_you_mean, in_one_message, listed, readable_problems, shortened
from app.errors import ManifestInvalid

GOLDEN_FOLDER = "golden"
GOLDEN_FILE = "golden.json"
GOLDEN_PATH = f"{GOLDEN_FOLDER}/{GOLDEN_FILE}"
MAX_GOLDEN_JSON_BYTES = 64 * 1024 * 1024
"""100 images of a 21,841-class model are 45 MiB."""
MAX_GOLDEN_IMAGE_BYTES = 64 * 1024 * 1024
"""A 20-megapixel TIFF without compression; a golden image is one that the line's camera made."""
MAX_FLOAT32 = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class GoldenImage:
    """One picture and what the network answered when the bundle was made."""

    file: str
    sha256: str
    logits: tuple[float, ...]
    """One per class; each is exactly a float32."""
    class_name: str | None = None
    """What the picture truly shows, where known; not necessarily what was predicted."""


@dataclass(frozen=True, slots=True)
class Golden:
    """The golden images of one bundle."""

    bundle_folder: Path
    made_with: Mapping[str, str]
    """Versions of what recorded the logits, such as torch = "2.10.0"."""
    images: tuple[GoldenImage, ...]
    changes: tuple[str, ...] = ()
    """What is not as it was when the logits were recorded: sentences, any of which disproves the bundle."""

    def logits(self) -> NDArray[np.float32]:
        """All recorded logits, (N, K)."""
        return np.array([image.logits for image in self.images], dtype=np.float32)

    def read(self, image: GoldenImage) -> bytes:
        """The picture's file, checked against its SHA-256; raises ManifestInvalid."""
        name = f"{GOLDEN_FOLDER}/{image.file}"
        data = read_inside(self.bundle_folder, name, max_bytes=MAX_GOLDEN_IMAGE_BYTES)
        if hashlib.sha256(data).hexdigest() != image.sha256:
            raise ManifestInvalid(
                f"`{name}` is not the picture whose logits were recorded: its SHA-256 differs"
            )
        return data


@dataclass(frozen=True, slots=True)
class GoldenPicture:
    """One picture to be recorded; logits are (K,)."""

    file: str
    data: bytes
    logits: ArrayLike
    class_name: str | None = None


# --- golden.json -------------------------------------------------------------------------------


def _image_name(name: str) -> str:
    if name == GOLDEN_FILE:
        raise ValueError("this name is taken")
    return plain_file_name(name)


class _ImageRecord(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    file: Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_image_name)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    logits: tuple[Annotated[float, Field(allow_inf_nan=False, ge=-MAX_FLOAT32, le=MAX_FLOAT32)], ...]
    class_name: Annotated[str | None, Field(alias="class")] = None


class _GoldenRecord(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    format: Literal[1]
    made_with: dict[str, Annotated[str, AfterValidator(one_line)]]
    classes: tuple[str, ...] | None = None
    weights_sha256: Annotated[str | None, Field(pattern="^[0-9a-f]{64}$")] = None
    preprocess: dict[str, Any] | None = None
    images: Annotated[tuple[_ImageRecord, ...], Field(min_length=1)]


_KEYS: Keys = {
    "": frozenset({"format", "made_with", "classes", "weights_sha256", "preprocess", "images"}),
    "images": frozenset({"file", "sha256", "logits", "class"}),
}


def _parse(data: bytes, classes: Sequence[str]) -> _GoldenRecord:
    try:
        record = _GoldenRecord.model_validate_json(data)
    except ValidationError as error:
        raise ManifestInvalid(in_one_message(GOLDEN_PATH, readable_problems(error, _KEYS))) from error
    problems = [
        f"`{image.file}` has {len(image.logits)} logits, the manifest has {len(classes)} classes"
        for image in record.images
        if len(image.logits) != len(classes)
    ]
    if record.classes is not None and record.classes != tuple(classes):
        # Logits are kept by position: in another order they would still hold, and name other classes.
        problems.append(
            f"the logits were recorded for the classes {listed(record.classes)}, in this order; "
            f"the manifest says {listed(classes)}"
        )
    problems += [
        f"`{image.class_name}` of `{image.file}` is not a class{did_you_mean(image.class_name, classes)}"
        for image in record.images
        if image.class_name is not None and image.class_name not in classes
    ]
    # By small letters: on some disks Boar.jpg and boar.jpg are one file.
    counts = Counter(image.file.lower() for image in record.images)
    if repeated := [name for name, count in counts.items() if count > 1]:
        problems.append(f"each image may stand once; repeated: {listed(repeated)}")
    if problems:
        raise ManifestInvalid(in_one_message(GOLDEN_PATH, problems))
    return record


def read_golden(
    bundle_folder: Path,
    classes: Sequence[str],
    *,
    weights: Path | None = None,
    preprocess: Mapping[str, object] | None = None,
) -> Golden | None:
    """The golden images, every file checked; None where the bundle has no folder golden/.

    Args:
        bundle_folder: <name>/<version>/.
        classes: the manifest's.
        weights: the weight file; where given, it is compared with what was recorded.
        preprocess: the manifest's table as JSON values; where given, likewise.

    Raises ManifestInvalid. A folder without golden.json is refused too: somebody meant to have a
    self-test, and it would be silently missing.
    """
    folder = bundle_folder / GOLDEN_FOLDER
    if not is_there(folder):
        return None
    return _read(bundle_folder, classes, weights, preprocess)


def _read(
    bundle_folder: Path,
    classes: Sequence[str],
    weights: Path | None,
    preprocess: Mapping[str, object] | None,
) -> Golden:
    data = read_inside(bundle_folder, GOLDEN_PATH, max_bytes=MAX_GOLDEN_JSON_BYTES)
    record = _parse(data, classes)
    images = tuple(
        GoldenImage(
            image.file,
            image.sha256,
            tuple(float(np.float32(logit)) for logit in image.logits),
            image.class_name,
        )
        for image in record.images
    )
    golden = Golden(bundle_folder, record.made_with, images, _changes(record, weights, preprocess))
    for image in images:
        golden.read(image)
    return golden


def _changes(
    record: _GoldenRecord, weights: Path | None, preprocess: Mapping[str, object] | None
) -> tuple[str, ...]:
    """Changes too small for the tolerance are found as well: logits are those of one file and one preprocessing."""
    changes = []
    if weights is not None and record.weights_sha256 not in {None, _sha256(weights)}:
        changes.append(f"`{weights.name}` is not the file whose logits were recorded: its SHA-256 differs")
    if preprocess is not None and record.preprocess is not None:
        now, then = json.loads(json.dumps(preprocess)), record.preprocess
        changes += [
            f"`{key}` of [preprocess] was {shortened(json.dumps(then.get(key)))} when the logits were recorded"
            for key in {**then, **now}
            if then.get(key) != now.get(key)
        ]
    return tuple(changes)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ManifestInvalid(f"`{path.name}` cannot be read: {error.strerror}") from error


def write_golden(
    bundle_folder: Path,
    *,
    classes: Sequence[str],
    made_with: Mapping[str, str],
    pictures: Sequence[GoldenPicture],
    weights: Path | None = None,
    preprocess: Mapping[str, object] | None = None,
) -> Golden:
    """Records the pictures and their logits in golden/; raises ManifestInvalid before anything is written.

    Weights and preprocessing, where given, are recorded too: no later change of them is too small to be found.

    golden.json comes last. A crash on the way leaves the old one, whose SHA-256 then refuse a
    picture that was already replaced.
    """
    records = []
    for picture in pictures:
        logits = np.asarray(picture.logits, dtype=np.float32)
        record: dict[str, object] = {
            "file": picture.file,
            "sha256": hashlib.sha256(picture.data).hexdigest(),
            # A float32 is exactly a double, and json writes the shortest text that reads back equal.
            "logits": logits.astype(np.float64).tolist(),
        }
        records.append(record if picture.class_name is None else record | {"class": picture.class_name})
    facts: dict[str, object] = {"format": 1, "made_with": dict(made_with), "classes": list(classes)}
    if weights is not None:
        facts["weights_sha256"] = _sha256(weights)
    if preprocess is not None:
        facts["preprocess"] = dict(preprocess)
    head = json.dumps(facts, ensure_ascii=False)[1:-1]
    rows = ",\n".join(f"  {json.dumps(record, ensure_ascii=False)}" for record in records)
    data = f'{{{head}, "images": [\n{rows}\n]}}\n'.encode()
    _parse(data, classes)

    folder = bundle_folder / GOLDEN_FOLDER
    folder.mkdir(exist_ok=True)
    for picture in pictures:
        write_atomically(folder / picture.file, picture.data)
    write_atomically(folder / GOLDEN_FILE, data)
    return _read(bundle_folder, classes, weights, preprocess)
