"""What `lineside detect-preprocess` says: a table and lines to paste for people, JSON for scripts."""

import json
from dataclasses import dataclass, replace
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.bundles.manifest_text import write_classes, write_preprocess
from app.bundles.repository import Bundle
from app.cli.summary import table_of
from app.evaluation.declarations import Declaration
from app.evaluation.detective import FEWEST_PICTURES
from app.evaluation.findings import Finalist, Findings
from app.evaluation.held import HeldPictures
from app.wiring import Proved

Status = Literal["holds", "other", "open", "invalid", "refused"]
"""holds: nothing is better than the declared one; other: another one is; open: the labels cannot settle it."""
MAX_ROWS = 10
MAX_VALUES = 6


@dataclass(frozen=True, slots=True)
class Detected:
    """How an investigation ended."""

    given: str
    status: Status
    reason: str | None
    bundle: Bundle | None = None
    findings: Findings | None = None
    held: HeldPictures | None = None
    notes: tuple[str, ...] = ()
    has_memory: bool = True
    """The network has batch normalisation."""
    seconds: float = 0.0
    written: Proved | None = None
    """The new version, where one was asked for."""

    def toml(self) -> str | None:
        """What belongs into model.toml."""
        if self.bundle is None or self.findings is None:
            return None
        declaration = self.findings.best.declaration
        geometry = replace(self.bundle.geometry, steps=declaration.steps, decode="exact")
        text = write_preprocess(geometry, declaration.normalisation)
        return f"{write_classes(self.findings.classes)}\n\n{text}" if self.findings.is_permuted else text

    def all_notes(self) -> tuple[str, ...]:
        """What limits the findings."""
        notes = list(self.notes)
        held, findings = self.held, self.findings
        if held is not None and held.left_out:
            notes.append(f"{held.left_out} pictures were left out: too many to hold in memory at once")
        if held is not None:
            notes += [
                f"{'/'.join(failure.item.path.parts[-2:])} was not used: {failure.error.message}"
                for failure in held.failures
            ]
        if findings is not None and findings.unresolved:
            notes.append(
                f"{findings.unresolved} more declarations could not be told from the best on the first pictures and were "
                "not followed; the best of them were"
            )
        if self.written is not None and self.bundle and self.bundle.manifest.calibration.temperature != 1.0:
            notes.append(
                f"the new version has no temperature: {self.bundle.manifest.calibration.temperature:g} was fitted under the "
                "old preprocessing"
            )
        if findings is not None and not self.has_memory:
            notes.append(
                "the network has no batch normalisation: on a larger scale it is only surer, so labels say little of "
                "scale, mean and std"
            )
        return tuple(notes)

    def as_json(self) -> dict[str, Any]:
        """For scripts; keys are stable."""
        findings = self.findings
        return {
            "bundle": self.given,
            "status": self.status,
            "reason": self.reason,
            "notes": list(self.all_notes()),
            "findings": None
            if findings is None
            else {
                "declarations": findings.scored,
                "first_look_pictures": findings.first_look,
                "pictures": findings.pictures,
                "forward_passes": findings.passes,
                "is_better_than_guessing": findings.is_better_than_guessing,
                "settled": findings.settled,
                "unsettled": findings.unsettled,
                "classes": list(findings.classes),
                "classes_look_permuted": findings.is_permuted,
                "toml": self.toml(),
                "finalists": [_finalist_json(row, findings) for row in findings.finalists],
            },
            "written": None
            if self.written is None
            else {"name": self.written.bundle.name, "version": self.written.bundle.version},
        }


def _finalist_json(row: Finalist, findings: Findings) -> dict[str, Any]:
    return {
        **row.declaration.fields(),
        "is_declared": row.declaration == findings.declared,
        "is_tie": row.evidence == "tie",
        "told_apart_by": None if row.evidence == "tie" else row.evidence,
        "mean_log_probability": row.mean_log_probability,
        "accuracy": row.accuracy,
        "distance_from_training": row.distance,
    }


# --- for people --------------------------------------------------------------------------------


def print_detected(detected: Detected, *, as_json: bool) -> None:
    """To standard output."""
    if as_json:
        print(json.dumps(detected.as_json(), ensure_ascii=False, indent=2))  # noqa: T201
        return
    console = Console(highlight=False)
    findings = detected.findings
    if findings is not None:
        console.print(
            f"tried {findings.scored} declarations on {findings.first_look} pictures and the best "
            f"{len(findings.finalists)} on {findings.pictures}: {findings.passes} forward passes in {detected.seconds:.0f} s",
            soft_wrap=True,
        )
        console.print(_table(findings))
        _print_verdict(console, detected, findings)
    for note in detected.all_notes():
        console.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    if detected.reason is not None:
        console.print(f"[bold red]lineside:[/] {escape(detected.reason)}", soft_wrap=True)
    if detected.written is not None:
        bundle = detected.written.bundle
        console.print(f"[bold green]written and proved[/] {bundle.name}/{bundle.version}")


def _table(findings: Findings) -> Table:
    table = table_of("preprocessing", ">log prob.", ">accuracy", ">distance", "told apart by")
    always = (findings.declared, findings.best.declaration)
    shown = list(findings.finalists[:MAX_ROWS])
    shown += [row for row in findings.finalists[MAX_ROWS:] if row.declaration in always]
    for row in shown:
        mark = " [bold](declared)[/]" if row.declaration == findings.declared else ""
        table.add_row(
            f"{escape(words(row.declaration))}{mark}",
            f"{row.mean_log_probability:.3f}",
            f"{row.accuracy:.3f}",
            "-" if row.distance is None else f"{row.distance:.3g}",
            "[green]nothing: a tie[/]"
            if row.evidence == "tie" and len(findings.ties) > 1
            else "[green]the best[/]"
            if row.evidence == "tie"
            else row.evidence,
        )
    if len(findings.finalists) > len(shown):
        table.caption = f"and {len(findings.finalists) - len(shown)} more (--json lists all)"
    return table


def words(declaration: Declaration) -> str:
    """On one line."""
    fields = declaration.fields()
    crop = "no crop" if fields["crop"] == "none" else fields["crop"]
    return f"{fields['resize']} {fields['interpolation']}, {crop}, {fields['values']} {fields['channels']}"


def _print_verdict(console: Console, detected: Detected, findings: Findings) -> None:
    if detected.status == "open":
        if findings.is_better_than_guessing:
            why = "every declaration that is left differs in every part"
        elif findings.pictures < FEWEST_PICTURES:
            why = f"{findings.pictures} pictures are too few, whatever the answers: give {FEWEST_PICTURES} or more"
        else:
            why = "under no declaration does the model do better than guessing; are these its weights, and these its classes?"
        console.print(f"[bold yellow]the labels cannot settle it:[/] {why}", soft_wrap=True)
        return
    if detected.status == "holds" and len(findings.ties) == 1:
        console.print("[bold green]holds:[/] the declared preprocessing is the best, and no other comes near")
    elif detected.status == "holds":
        console.print(
            f"[bold green]not refuted:[/] the declared preprocessing is one of {len(findings.ties)} that these pictures "
            "cannot tell apart",
            soft_wrap=True,
        )
    elif findings.best.declaration == findings.declared:
        console.print(
            "[bold green]the declared preprocessing holds[/], the declared order of classes does not"
        )
    else:
        console.print(
            f"[bold red]likelier than the declared one:[/] {escape(words(findings.best.declaration))}"
            + (", the most like it of all ties" if len(findings.ties) > 1 else ""),
            soft_wrap=True,
        )
    settled = ", ".join(f"{field} {value}" for field, value in findings.settled.items())
    console.print(f"settled: {escape(settled)}", soft_wrap=True)
    for field, values in findings.unsettled.items():
        more = [f"and {len(values) - MAX_VALUES} more"] if len(values) > MAX_VALUES else []
        listed = "; ".join([*values[:MAX_VALUES], *more])
        console.print(f"not settled by these pictures: {field}: {escape(listed)}", soft_wrap=True)
    if findings.is_permuted:
        console.print(
            f"[bold red]the classes look permuted:[/] the outputs are {escape(', '.join(findings.classes))}",
            soft_wrap=True,
        )
    if detected.status == "other":
        console.print("for model.toml, best in a new version (--write makes one):\n")
        console.print(escape(detected.toml() or ""), soft_wrap=True)
