"""Everything that decides a training run, in one TOML file.

bytes -> read_configuration -> Configuration; configuration_text.py writes it down again

A key that is not known is refused with the nearest that is; every key has a default except the
architecture. Knows no folders, pictures or networks.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, Strict, ValidationError, model_validator

from app.bundles.head_tables import HeadTable, LinearHeadTable
from app.bundles.manifest import KNOWN_KEYS as MANIFEST_KEYS
from app.bundles.manifest import Manifest
from app.bundles.preprocess_tables import PreprocessTable
from app.bundles.problems import Keys, did_you_mean, in_one_message, listed, readable_problems
from app.bundles.tables import Table
from app.errors import TrainingRefused
from app.training.presets import AUGMENTATIONS, IMAGENET_EVALUATION

Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Above = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
AtLeastOne = Annotated[int, Field(ge=1, le=1_000_000)]


class Section(Table):
    """A table whose keys' docstrings are the comments of the written file."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Data(Section):
    """Which pictures stand on which side."""

    group_by: Annotated[str, Field(min_length=1, max_length=500)] = "none"
    """none | day | camera | a regular expression on the path: one group never stands on two sides"""
    validation_share: Share = 0.15
    """where the folder has no val/ of its own"""
    test_share: Share = 0.15
    """where the folder has no test/ of its own; 0.0: none"""
    max_damaged_share: Annotated[float, Field(ge=0, le=1)] = 0.02
    """more unreadable pictures than this, and nothing is trained"""


class Augmentation(Section):
    """How a training picture is varied; uniform between plus and minus the number, by one resampling."""

    preset: str = "none"
    """none | carcass | cats-and-dogs | posture | digits; the keys below override it"""
    per: Literal["picture", "group"] = "picture"
    """group: pictures of one data.group_by are varied alike, so that what was photographed twice stays comparable"""
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 0.0
    shift: Share = 0.0
    """of the side, each axis by itself"""
    shear_degrees: Annotated[float, Field(ge=0, lt=90)] = 0.0
    """an angle, as Keras' shear_range"""
    zoom: Share = 0.0
    """each axis by a factor of its own between 1 - zoom and 1 + zoom, as Keras' zoom_range"""
    flip_horizontal: bool = False
    """half of the pictures, left to right"""
    flip_vertical: bool = False
    """half of the pictures, top to bottom"""

    @model_validator(mode="before")
    @classmethod
    def _over_the_preset(cls, given: object) -> object:
        if not isinstance(given, Mapping) or not isinstance(given.get("preset", "none"), str):
            return given
        preset = given.get("preset", "none")
        if preset not in AUGMENTATIONS:
            raise ValueError(
                f"unknown preset {preset!r}; known: {listed(AUGMENTATIONS)}{did_you_mean(preset, AUGMENTATIONS)}"
            )
        return {**AUGMENTATIONS[preset], **given}


class Optimiser(Section):
    """What turns gradients into steps."""

    name: Literal["sgd", "adam", "adamw"] = "adamw"
    learning_rate: Above = 1e-3
    momentum: Share = 0.9
    """of sgd, Nesterov's; adam and adamw use 0.9 and 0.999"""
    weight_decay: NotNegative = 0.01
    """on matrices and kernels, never on biases and batch norms"""
    clip_norm: NotNegative = 1.0
    """longest gradient; 0.0: never cut"""


class Schedule(Section):
    """How the learning rate goes."""

    decay: Literal["none", "step", "cosine"] = "cosine"
    step_epochs: AtLeastOne = 30
    """of step: epochs between two steps"""
    step_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """of step"""
    warmup_epochs: NotNegative = 0.0
    """rises in a line from nothing; may be a part of an epoch"""


class Training(Section):
    """How long, how much of the network, and by which loss."""

    freeze: Literal["head", "layer4", "none", "gradual"] = "none"
    """head: only the new layer learns | layer4: and the last stage | none: everything | gradual: one more stage at a time"""
    unfreeze_every_epochs: AtLeastOne = 2
    """of gradual: epochs before the next stage learns too"""
    epochs: AtLeastOne = 20
    batch_size: Annotated[int, Field(ge=2, le=65536)] = 32
    batches: Literal["shuffled", "groups"] = "shuffled"
    """groups: pictures of one data.group_by stand in one batch, so that what they share tells no class apart in it"""
    label_smoothing: Share = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: a rare class weighs as much as a common one"""
    dropout: Share = 0.0
    """before the head"""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """of the training's forward pass; float16 needs CUDA. What is measured and served is float32"""
    keep: Literal["best", "last"] = "best"
    """which epoch becomes the bundle; best: by best_by"""
    best_by: Literal["loss", "accuracy", "macro_f1"] = "loss"
    """of the validation side: the lowest loss, or the highest accuracy or macro F1, the lower loss where two are equal"""
    patience_epochs: Count = 0
    """stop after so many epochs without a better one; 0: never"""
    checkpoint_every_s: NotNegative = 60.0
    """a kill loses at most this much work"""


class Outputs(Section):
    """What lies in the bundle besides the network."""

    golden_per_class: AtLeastOne = 2
    """golden images from the validation set; 16 at most in all"""
    temperature_scaling: bool = True
    """fit the temperature on the validation set, so that probabilities may be believed"""
    golden: Annotated[tuple[str, ...], Strict(False)] = ()
    """or these, as training/split.csv names them; of the validation or test side, 16 at most"""
    language: Literal["en", "ko"] = "en"
    """of training/evaluation.html"""
    pred_sol: bool = False
    """training/pred.sol and training/summary.txt, as the first carcass project wrote them"""


class Machine(Section):
    """Where it runs; none of it belongs to the result's identity."""

    device: str = "auto"
    """auto | cpu | cuda | cuda:N"""
    threads: Count = 0
    """of one step on the CPU; 0: torch's choice. Another number gives other last bits"""
    image_threads: AtLeastOne = 4
    """that decode pictures"""
    cache_mib: Count = 2048
    """pictures are kept decoded up to this; beyond it they are decoded in every epoch"""


class Configuration(Section):
    """The whole file."""

    architecture: str
    """`lineside architectures` lists them"""
    start: str = "imagenet"
    """imagenet: torchvision's weights, fetched | none | a weight file or bundle; only the trunk is taken"""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """of the split, the order, the augmentation and fresh weights"""
    classes: Annotated[tuple[str, ...], Strict(False)] = ()
    """in the order of the outputs; empty: the class folders, sorted as text"""
    title: str | None = None
    description: str | None = None
    notice: str | None = None
    data: Data = Data()
    head: HeadTable = Field(default_factory=LinearHeadTable)
    preprocess: PreprocessTable = Field(
        default_factory=lambda: PreprocessTable.model_validate(IMAGENET_EVALUATION)
    )
    augmentation: Augmentation = Augmentation()
    optimiser: Optimiser = Optimiser()
    schedule: Schedule = Schedule()
    training: Training = Training()
    outputs: Outputs = Outputs()
    machine: Machine = Machine()
    display: dict[str, dict[str, str]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _groups_are_told(self) -> Self:
        wanting = {
            'training.batches = "groups"': self.training.batches == "groups",
            'augmentation.per = "group"': self.augmentation.per == "group",
        }
        if self.data.group_by == "none" and (lacking := [key for key, wants in wanting.items() if wants]):
            raise ValueError(
                f"{' and '.join(lacking)}: which pictures belong together is not said; set data.group_by"
            )
        return self

    def _manifest_table(self, classes: tuple[str, ...], temperature: float) -> dict[str, Any]:
        optional = {name: getattr(self, name) for name in ("title", "description", "notice")}
        head = self.head.model_dump(exclude_none=True)
        if self.training.dropout and head["kind"] in {"linear", "mlp"}:
            head["dropout"] = self.training.dropout
        return {
            "architecture": self.architecture,
            "classes": list(classes),
            **{name: value for name, value in optional.items() if value is not None},
            "head": head,
            "preprocess": self.preprocess.model_dump(exclude_none=True),
            "display": self.display,
            "calibration": {"temperature": temperature},
        }

    def manifest(self, classes: tuple[str, ...], temperature: float = 1.0) -> Manifest:
        """The bundle's manifest; raises TrainingRefused."""
        try:
            return Manifest.model_validate(self._manifest_table(classes, temperature))
        except ValidationError as error:
            raise TrainingRefused(
                in_one_message("the configuration", readable_problems(error, MANIFEST_KEYS))
            ) from error

    def identity(self) -> str:
        """SHA-256 over what decides the weights: [machine] and [outputs] do not, nor how often is saved."""
        values = self.model_dump(
            mode="json", exclude={"machine": True, "outputs": True, "training": {"checkpoint_every_s"}}
        )
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


SECTIONS: Mapping[str, type[Section]] = {
    "data": Data,
    "augmentation": Augmentation,
    "optimiser": Optimiser,
    "schedule": Schedule,
    "training": Training,
    "outputs": Outputs,
    "machine": Machine,
}
KEYS: Keys = {
    **MANIFEST_KEYS,
    "": frozenset(Configuration.model_fields),
    **{name: frozenset(section.model_fields) for name, section in SECTIONS.items()},
}


def read_configuration(data: bytes, overrides: Mapping[str, object], *, name: str) -> Configuration:
    """The file with the command line's values over it.

    Args:
        data: TOML; empty where there is no file.
        overrides: dotted key, such as "training.epochs" -> value.
        name: the file's, for messages.

    Raises:
        TrainingRefused: every problem at once, each with its place and the nearest right word.
    """
    try:
        raw = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise TrainingRefused(f"{name} is not valid TOML: {error}") from error
    for key, value in overrides.items():
        _put(raw, key, value)
    try:
        return Configuration.model_validate(raw)
    except ValidationError as error:
        raise TrainingRefused(in_one_message(name, readable_problems(error, KEYS))) from error


def _put(raw: dict[str, Any], key: str, value: object) -> None:
    *tables, last = key.split(".")
    for table in tables:
        inner = raw.setdefault(table, {})
        if not isinstance(inner, dict):
            raise TrainingRefused(f"`{key}`: `{table}` is no table")
        raw = inner
    raw[last] = value
