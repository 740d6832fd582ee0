"""The manifest of a bundle: model.toml, checked, and as the other rooms need it.

bytes -> parse_manifest -> Manifest -> network_spec(), geometry(), region_of_interest()

Knows nothing of folders, weights or which architectures exist. Whatever is wrong with the text is
a ManifestInvalid that lists every problem at once, each with its place and the nearest right word.
"""

import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Strict, ValidationError, ValidationInfo, field_validator

from app.bundles.files import plain_file_name
from app.bundles.head_tables import HEAD_TABLES, HeadTable, LinearHeadTable
from app.bundles.preprocess_tables import STEP_TABLES, PreprocessTable
from app.bundles.problems import Keys, did_you_mean, in_one_message, listed, readable_problems
from app.bundles.tables import FractionBox, Line, Table, Text
from app.domain import Geometry, NetworkSpec, Normalisation, RegionOfInterest
from app.errors import ManifestInvalid

MANIFEST_FILE = "model.toml"
MAX_MANIFEST_BYTES = 8 * 1024 * 1024
"""21,841 classes with labels in three languages are 2 MiB; anything above this is not a manifest."""


def _weights_name(name: str) -> str:
    if name in {MANIFEST_FILE, "golden"}:
        raise ValueError("this name is taken by another part of the bundle")
    return plain_file_name(name)


def _without_repetition(names: tuple[str, ...]) -> tuple[str, ...]:
    # As people read them: a Mac writes Korean syllables in parts.
    counts = Counter(unicodedata.normalize("NFC", name) for name in names)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise ValueError(f"each class may be named once; repeated: {listed(repeated)}")
    return names


class EvidenceTable(Table):
    """What is known of where the evidence should lie."""

    region_of_interest: FractionBox | None = None
    """[x0, y0, x1, y1] as fractions of the whole picture, before any step: what a person measures on the
    camera's picture, whatever the model then crops."""

    def expected(self) -> RegionOfInterest | None:
        """As the explanations know it."""
        if self.region_of_interest is None:
            return None
        x0, y0, x1, y1 = self.region_of_interest
        return RegionOfInterest(x0, y0, x1, y1)


class GoldenTable(Table):
    """How closely the golden images must be met."""

    tolerance: Annotated[float, Strict(), Field(allow_inf_nan=False, gt=0, lt=1)] = 0.02
    """Largest accepted difference of any class's probability."""
    images: Annotated[int, Strict(), Field(ge=1)] | None = None
    """How many there are; None: nobody counted. Who makes a bundle does, so that their loss is found."""


class CalibrationTable(Table):
    """How sure the model may be."""

    temperature: Annotated[float, Strict(), Field(allow_inf_nan=False, ge=0.01, le=100)] = 1.0
    """Probabilities are softmax(logits / temperature); fitted on pictures that were not trained on."""


class QuantizationTable(Table):
    """The version's network computes in 8-bit integers; `lineside quantize` writes this."""

    kind: Literal["int8"]
    sha256: Annotated[str, Strict(), Field(pattern="^[0-9a-f]{64}$")]
    """Of openvino/int8.xml and .bin, so that the bundle's digest stands for them too."""
    images: Annotated[int, Strict(), Field(ge=1)]
    """Pictures that it was calibrated and compared on: on one half and the other, where there were 20 or more."""
    agreement: Annotated[float, Strict(), Field(ge=0, le=1)]
    """Share of the compared ones that get the class which float32 gives."""
    drift: Annotated[float, Strict(), Field(ge=0, le=1)]
    """Largest difference of any probability on them."""


class Manifest(Table):
    """model.toml."""

    architecture: Annotated[str, Strict(), Field(max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]
    weights: Annotated[str, Strict(), Field(min_length=1, max_length=255), AfterValidator(_weights_name)] = (
        "weights.safetensors"
    )
    classes: Annotated[
        tuple[Line, ...], Strict(False), Field(min_length=2), AfterValidator(_without_repetition)
    ]
    """In the order of the head's outputs."""
    title: Line | None = None
    description: Text | None = None
    notice: Text | None = None
    """Shown loudly wherever the model answers, such as "synthetic, not for use on meat"."""
    head: HeadTable = Field(default_factory=LinearHeadTable)
    preprocess: PreprocessTable
    display: dict[str, dict[str, Line]] = Field(default_factory=dict)
    """Language -> class -> what people read; a class without a label is shown by its name."""
    evidence: EvidenceTable = Field(default_factory=EvidenceTable)
    golden: GoldenTable = Field(default_factory=GoldenTable)
    calibration: CalibrationTable = Field(default_factory=CalibrationTable)
    quantization: QuantizationTable | None = None

    @field_validator("display")
    @classmethod
    def _labels_are_of_classes(
        cls, display: dict[str, dict[str, str]], info: ValidationInfo
    ) -> dict[str, dict[str, str]]:
        wrong = [
            f"`{language}` is not a language code of two small letters, such as ko"
            for language in display
            if not re.fullmatch("[a-z]{2}", language)
        ]
        known = set(info.data.get("classes", ()))  # empty where the classes themselves are wrong
        wrong += [
            f"`{name}` in [display.{language}] is not a class{did_you_mean(name, known)}"
            for language, labels in display.items()
            for name in labels
            if known and name not in known
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return display

    def network_spec(self) -> NetworkSpec:
        """Everything but the weights that the network is built from."""
        return NetworkSpec(
            architecture=self.architecture,
            class_count=len(self.classes),
            input_size=self.preprocess.input_size(),
            head=self.head.spec(),
            normalisation=self.normalisation(),
        )

    def normalisation(self) -> Normalisation:
        """What happens to the numbers after the geometry, inside the network's graph."""
        table = self.preprocess
        mean, std = table.mean, table.std
        return Normalisation(
            table.channels, table.scale, (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])
        )

    def geometry(self) -> Geometry:
        """What happens to the 8-bit pixels."""
        table = self.preprocess
        red, green, blue = table.alpha_background
        return Geometry(
            tuple(step.step() for step in table.steps), table.orientation, (red, green, blue), table.decode
        )

    def region_of_interest(self) -> RegionOfInterest | None:
        """Where the evidence is expected to lie; None where nobody said."""
        return self.evidence.expected()

    def labels(self, language: str) -> tuple[str, ...]:
        """What people read, in the order of the classes; a class without a label keeps its name."""
        labels = self.display.get(language, {})
        return tuple(labels.get(name, name) for name in self.classes)


KNOWN_KEYS: Keys = {
    "": frozenset(Manifest.model_fields),
    "preprocess": frozenset(PreprocessTable.model_fields),
    "evidence": frozenset(EvidenceTable.model_fields),
    "golden": frozenset(GoldenTable.model_fields),
    "calibration": frozenset(CalibrationTable.model_fields),
    "quantization": frozenset(QuantizationTable.model_fields),
    **{f"head:{kind}": frozenset(table.model_fields) for kind, table in HEAD_TABLES.items()},
    **{f"step:{name}": frozenset(table.model_fields) for name, table in STEP_TABLES.items()},
}


def parse_manifest(data: bytes) -> Manifest:
    """Reads model.toml; raises ManifestInvalid with every problem in it."""
    if len(data) > MAX_MANIFEST_BYTES:
        raise ManifestInvalid(f"{MANIFEST_FILE} is larger than {MAX_MANIFEST_BYTES // 2**20} MiB")
    try:
        raw = tomllib.loads(data.decode("utf-8-sig"))  # Windows editors put a byte order mark
    except UnicodeDecodeError as error:
        raise ManifestInvalid(f"{MANIFEST_FILE} is not UTF-8 text (byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        # ValueError besides TOMLDecodeError: a number of more than 4,300 digits.
        raise ManifestInvalid(f"{MANIFEST_FILE} is not valid TOML: {error}") from error
    return checked_manifest(raw)


def checked_manifest(raw: Mapping[str, object]) -> Manifest:
    """The tables of a model.toml, already read; raises ManifestInvalid as `parse_manifest` does."""
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        raise ManifestInvalid(in_one_message(MANIFEST_FILE, readable_problems(error, KNOWN_KEYS))) from error
