"""What a reader makes of a file, and what only its owner can say.

Values only. Every reader returns a `Found`, whatever the format was; the importer settles the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from torch import Tensor

from app.domain import Geometry, HeadSpec, Normalisation, Size
from app.errors import InvalidRequest

NoteKind = Literal["took", "stripped", "renamed", "folded", "settled", "ignored", "warning"]


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that was done to the file's content, or one doubt and how it was settled."""

    kind: NoteKind
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """What the file does not say; never guessed."""

    about: str
    option: str
    """What answers it, as typed: `--classes a,b,c`."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What its owner said about the inside of a file."""

    take: str | None = None
    """Key of a training dictionary under which the weights are."""
    head: str | None = None
    """Module that follows the trunk's average pooling."""
    activation: Literal["relu", "none"] | None = None
    """What stands between the head's linear layers."""
    activation_at: tuple[tuple[int, ...], ...] | None = None
    """Or at which positions of the head ReLU stands, and nowhere else: (3,), (1, 2) in a Sequential inside."""
    pooling: Literal["max-average", "average-max"] | None = None
    """Where two poolings stand side by side before the head: in which order."""
    transform_input: bool | None = None
    """Whether Inception v3 or GoogLeNet changes the normalisation inside its forward pass."""
    architecture: str | None = None
    used: set[str] = field(default_factory=set, compare=False)
    """Those that settled something, by attribute; what the reader writes down while it reads."""

    def use(self, answer: str) -> None:
        """This one was needed."""
        self.used.add(answer)

    def refuse_unused(self) -> None:
        """Raises InvalidRequest: an answer to what the file leaves no doubt about is a mistake, or meant another file."""
        for answer, option in OPTIONS.items():
            if getattr(self, answer) is not None and answer not in self.used:
                raise InvalidRequest(f"{option}: nothing in this file is settled by it; leave it out")


OPTIONS: Final[Mapping[str, str]] = {
    "take": "--take",
    "head": "--head",
    "activation": "--head-activation",
    "activation_at": "--head-activation",
    "pooling": "--head-pooling",
    "transform_input": "--transform-input",
}
"""Attributes of `Answers` that may turn out to be needless; an architecture is always compared."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a picture goes through, and who said so."""

    geometry: Geometry
    normalisation: Normalisation
    source: str


@dataclass(frozen=True, slots=True)
class Found:
    """One checkpoint as data."""

    format: str
    """How the bytes are laid out, such as "PyTorch zip"."""
    origin: str
    """What wrote them, such as "Lightning checkpoint"."""
    tensors: Mapping[str, Tensor]
    """Under the names of torchvision's model; what `load_servable` takes."""
    architectures: tuple[str, ...]
    """Those that every tensor of the trunk fits; none, and the file cannot be served."""
    head: HeadSpec | None
    class_count: int | None
    classes: tuple[str, ...] | None = None
    """In the order of the outputs, where the file itself says so."""
    preprocessing: Preprocessing | None = None
    normalisation: Normalisation | None = None
    """What the network's own graph does to the pixels; `--preprocess` may not say otherwise."""
    input_size: Size | None = None
    """Of the pictures that the network's own graph takes; the steps of `--preprocess` may end in another."""
    transforms_input: bool = False
    """The network's forward pass undoes ImageNet's normalisation and maps to -1..1 (torchvision's
    `transform_input`)."""
    is_grey: bool = False
    """It took one channel: the normalisation of all three must be one."""
    choices: Mapping[str, Preprocessing] = field(default_factory=dict)
    """Where the file names several: what `--preprocess` may be."""
    details: Mapping[str, str] = field(default_factory=dict)
    """What else the file says of itself: epoch, library version."""
    notes: tuple[Note, ...] = ()
    questions: tuple[Question, ...] = ()
