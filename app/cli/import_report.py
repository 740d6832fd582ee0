"""What `lineside import` says: a table for people, JSON for scripts."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.bundles.manifest_text import scale_value
from app.bundles.toml_text import toml_value
from app.checkpoints.found import Found, Note, Preprocessing, Question
from app.domain import (
    ConcatPoolHead,
    ConvCamHead,
    FlattenHead,
    HeadSpec,
    LinearHead,
    MlpHead,
    Normalisation,
    OwnHead,
)
from app.nets.architectures import ARCHITECTURES
from app.wiring import Proved

COLOURS: Mapping[str, str] = {
    "imported": "green",
    "importable": "green",
    "refused": "red",
    "question": "yellow",
}


@dataclass(frozen=True, slots=True)
class Report:
    """How an import ended."""

    checkpoint: str
    status: Literal["imported", "importable", "refused", "question"]
    found: Found | None = None
    preprocessing: Preprocessing | None = None
    classes: tuple[str, ...] | None = None
    questions: tuple[Question, ...] = ()
    notes: tuple[Note, ...] = ()
    reason: str | None = None
    proved: Proved | None = None

    def all_notes(self) -> tuple[Note, ...]:
        """Of the file, then of the settling."""
        return (*(self.found.notes if self.found else ()), *self.notes)

    def as_json(self) -> dict[str, Any]:
        """For scripts; keys are stable."""
        found, proved = self.found, self.proved
        return {
            "checkpoint": self.checkpoint,
            "status": self.status,
            "reason": self.reason,
            "questions": [asdict(question) for question in self.questions],
            "found": None
            if found is None
            else {
                "format": found.format,
                "origin": found.origin,
                "architectures": list(found.architectures),
                "head": None if found.head is None else head_words(found.head),
                "class_count": found.class_count,
                "tensors": len(found.tensors),
                "details": dict(found.details),
            },
            "classes": None if self.classes is None else list(self.classes),
            "preprocessing": None
            if self.preprocessing is None
            else {
                "source": self.preprocessing.source,
                "steps": [steps_words(step) for step in self.preprocessing.geometry.steps],
                **asdict(self.preprocessing.normalisation),
            },
            "notes": [asdict(note) for note in self.all_notes()],
            "bundle": None
            if proved is None
            else {
                "name": proved.bundle.name,
                "version": proved.bundle.version,
                "digest": proved.bundle.digest,
                "golden_images": len(proved.bundle.golden.images) if proved.bundle.golden else 0,
                "sum_rule_error": proved.proof.sum_rule_error,
                "golden_difference": proved.proof.golden.max_probability_difference
                if proved.proof.golden
                else None,
            },
        }


def print_report(report: Report, *, as_json: bool) -> None:
    """To standard output."""
    if as_json:
        print(json.dumps(report.as_json(), ensure_ascii=False, indent=2))  # noqa: T201
        return
    console = Console(highlight=False)
    table = Table(show_header=False, title=escape(report.checkpoint), title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in _rows(report):
        table.add_row(key, escape(value))
    for note in report.all_notes():
        table.add_row(note.kind, escape(note.text))
    if table.row_count:
        console.print(table)
    colour = COLOURS[report.status]
    for question in report.questions:
        console.print(f"[{colour}]question:[/] {escape(question.about)}\n          {escape(question.option)}")
    if report.reason is not None:
        console.print(f"[{colour}]refused:[/] {escape(report.reason)}")
    if report.proved is not None:
        bundle, golden = report.proved.bundle, report.proved.proof.golden
        proof = f"; {golden.message}" if golden else ""
        console.print(f"[{colour}]imported[/] {bundle.name}/{bundle.version} {bundle.digest[:19]}…{proof}")
    elif report.status == "importable":
        console.print(f"[{colour}]nothing stands in the way[/]; nothing was written (--dry-run)")


def _rows(report: Report) -> list[tuple[str, str]]:
    found = report.found
    if found is None:
        return []
    rows = [
        ("format", found.format),
        ("origin", found.origin),
        ("architecture", ", ".join(_architecture(name) for name in found.architectures) or "unknown"),
        ("head", "unknown" if found.head is None else head_words(found.head)),
        ("outputs", str(found.class_count or "unknown")),
        ("classes", ", ".join(report.classes[:20]) if report.classes else "unknown"),
    ]
    if report.preprocessing is not None:
        steps = ", ".join(steps_words(step) for step in report.preprocessing.geometry.steps)
        rows.append(("preprocess", f"{steps} ({report.preprocessing.source})"))
    return [*rows, *found.details.items()]


def _architecture(name: str) -> str:
    known = ARCHITECTURES.get(name)
    return f"{name}: {known.summary}" if known else name


def head_words(head: HeadSpec) -> str:
    """One line for people."""
    match head:
        case LinearHead():
            return "linear"
        case MlpHead(hidden=hidden):
            return f"mlp, hidden = {list(hidden)}"
        case ConvCamHead(kernel_size=kernel_size, channels=channels):
            return f"conv_cam, kernel_size = {kernel_size}, channels = {channels}"
        case FlattenHead(cells=cells, hidden=hidden):
            return f"flatten_mlp, cells = {cells}, hidden = {list(hidden)}"
        case ConcatPoolHead(hidden=hidden):
            return f"concat_pool_mlp, hidden = {list(hidden)}"
        case OwnHead():
            return "the architecture's own"


def steps_words(step: object) -> str:
    """`Resize(size=Size(...), ...)` as one line."""
    return str(step).replace("Size", "")


def normalisation_words(normalisation: Normalisation) -> str:
    """The keys of [preprocess] that say it."""
    mean, std = ([float(f"{v:.6g}") for v in values] for values in (normalisation.mean, normalisation.std))
    keys = (
        f"channels = {toml_value(normalisation.channels)}",
        f"scale = {scale_value(normalisation.scale)}",
        f"mean = {toml_value(mean)}",
        f"std = {toml_value(std)}",
    )
    return ", ".join(keys)
