"""How closely a bundle answers as the library that wrote its checkpoint: measured by tests, kept in a document.

test -> record_parity(row, difference) -> with --write-parity the table in docs/checkpoints.md, row by row
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

PARITY = 1e-4
"""The largest accepted difference of a logit, as a share of the largest, in float32."""
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "checkpoints.md"
BEGIN, END = "<!-- parity: begin -->", "<!-- parity: end -->"
HEADER = "| format | written by | parity | command |\n| --- | --- | --- | --- |\n"

RecordParity = Callable[[str, float], None]


@dataclass(frozen=True)
class Row:
    """What stands beside a figure."""

    libraries: tuple[str, ...]
    command: str
    how: str = ""
    """Which of a library's ways of saving it is."""


SAME = "the same"
PLAIN = "`lineside import best.pth C P --out models/NAME`"
NO_CLASSES = "`lineside import last.pth P --out ...` (`class_to_idx` in it)"
ROWS: Mapping[str, Row] = {
    "state dict, zip": Row(("torch",), PLAIN),
    "state dict, older pickle": Row(("torch",), SAME, "`_use_new_zipfile_serialization=False`"),
    "state dict, safetensors": Row(("safetensors", "torch"), SAME),
    "training dictionary with EMA": Row(("torch",), NO_CLASSES),
    "the same, its live weights": Row(("torch",), "`lineside import last.pth P --take model --out ...`"),
    "`module._orig_mod.` names": Row(
        ("torch",), "`lineside import best.pth C P --out ...`", "`DataParallel` and `torch.compile`"
    ),
    "whole module, zip and older pickle": Row(("torch", "torchvision"), SAME),
    "MLP head (Linear, ReLU, Dropout, Linear)": Row(
        ("torch",), "`... --head-activation relu`; not needed for a whole module"
    ),
    "head with batch normalisation, whole module": Row(
        ("torch",), "`lineside import model.pt C P --out ...`"
    ),
    "MobileNetV3 and SqueezeNet, weights and whole module": Row(("torch", "torchvision"), SAME),
    "GoogLeNet with `transform_input`": Row(
        ("torch", "torchvision"), "`... --transform-input on`; not needed for a whole module"
    ),
    "TorchScript": Row(("torch",), "`lineside import model.pt C P --out ...`"),
    "Lightning `.ckpt`": Row(
        ("lightning",), "`lineside import last.ckpt P --out ...` (class names in its hyperparameters)"
    ),
    "fastai `learn.save`, its usual head": Row(
        ("torch",), "`lineside import stage-1.pth C P --out ...`", "a script after fastai 2.8"
    ),
    "fastai `learn.save`, average pooling": Row(("torch",), SAME, "a script after fastai 2.8"),
    "timm training checkpoint with EMA": Row(("timm",), "`lineside import last.pth.tar C P --out ...`"),
    "timm model folder": Row(("timm",), "`lineside import FOLDER --preprocess timm --out ...`"),
    "Transformers folder, ResNet-18 form": Row(
        ("transformers",), "`lineside import FOLDER --out ...`", "its Pillow processor"
    ),
    "Transformers folder, ResNet-50 form": Row(("transformers",), SAME, "its Pillow processor"),
    "the same, its torchvision processor": Row(
        ("transformers",), SAME, "on a picture that needs no resizing"
    ),
    "ONNX, batch normalisation folded": Row(
        ("torch", "onnx"), "`lineside import m.onnx C P --out ...`", "`dynamo=False`"
    ),
    "ONNX, batch normalisation kept": Row(("torch", "onnx"), SAME, "`dynamo=False`, `TrainingMode.PRESERVE`"),
    "ONNX of the newer exporter": Row(
        ("torch", "onnxscript"), SAME, "`dynamo=True`, numbers in `m.onnx.data`"
    ),
    "Keras `.h5`, `.keras`, `.weights.h5`: ResNet50, the carcass model's head": Row(
        ("keras",), "`lineside import weight.h5 C --preprocess carcass --out ...`", "torch back end"
    ),
    "Keras: average pooling and Dense": Row(
        ("keras",), "`lineside import weight.h5 C P --out ...`", "torch back end"
    ),
    "Keras: Rescaling in the graph and an MLP": Row(("keras",), SAME, "torch back end"),
    "Keras: ResNet50 with `include_top=True`": Row(("keras",), SAME, "torch back end"),
    "Keras: ResNet101, ResNet152, caffe in the graph": Row(("keras",), SAME, "torch back end"),
}
"""Every row of the table, in its order; a test records each."""


@dataclass
class Measured:
    """The figures of one run of the tests."""

    largest: dict[str, float] = field(default_factory=dict)

    def record(self, row: str, difference: float) -> None:
        """A row keeps the worst of its tests."""
        if row not in ROWS:
            raise KeyError(f"{row!r} is no row of tests/support/parity.py")
        self.largest[row] = max(difference, self.largest.get(row, 0.0))


def figures(page: str) -> dict[str, str]:
    """The table of a page: row -> figure."""
    table = page.partition(BEGIN)[2].partition(END)[0]
    return dict(re.findall(r"^\| (.+?) \| .+? \| (\S+) \| .+ \|$", table, re.MULTILINE)[2:])


def rewritten(page: str, measured: Mapping[str, float]) -> str:
    """The page with these figures; rows that were not measured keep theirs."""
    before, _, rest = page.partition(BEGIN)
    old, _, after = rest.partition(END)
    lines = {line[2:].partition(" | ")[0]: line for line in old.splitlines() if line.startswith("| ")}
    return f"{before}{BEGIN}\n{HEADER}{''.join(_lines(lines, measured))}{END}{after}"


def _lines(old: Mapping[str, str], measured: Mapping[str, float]) -> Iterable[str]:
    for name, row in ROWS.items():
        if name in measured:
            written_by = ", ".join(f"{library} {version(library)}" for library in row.libraries)
            how = f", {row.how}" if row.how else ""
            yield f"| {name} | {written_by}{how} | {measured[name]:.1e} | {row.command} |\n"
        elif name in old:
            yield f"{old[name]}\n"
