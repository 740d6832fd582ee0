"""What `lineside verify` says: tables for people, JSON for scripts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.bundles.comparison import GoldenReport, GoldenRow
from app.cli.summary import figures_tables, table_of
from app.evaluation.gallery import surest_mistakes
from app.evaluation.origins import Met
from app.evaluation.predictions import Predictions
from app.evaluation.records import figures_json
from app.reports.evaluation_sentences import met_sentence
from app.reports.evaluation_words import words_of
from app.wiring import Proved, environment

Status = Literal["proved", "refused", "invalid"]
"""invalid: the command itself, such as a folder that is no class; the bundle was not asked."""
MAX_MISTAKES = 10
MAX_FAILURES = 20


@dataclass(frozen=True, slots=True)
class Verified:
    """How a verification ended."""

    given: str
    status: Status
    reason: str | None
    """Why it is not proved; None where it is."""
    proved: Proved | None = None
    """None where the bundle cannot even be loaded."""
    notes: tuple[str, ...] = ()
    predictions: Predictions | None = None
    """Of the labelled folder, where one was given."""
    met: Met = field(default_factory=Met)
    """Of its pictures, those that the bundle knows already."""

    def as_json(self) -> dict[str, Any]:
        """For scripts; keys are stable."""
        proved = self.proved
        return {
            "bundle": self.given,
            "status": self.status,
            "reason": self.reason,
            "warnings": [*(proved.proof.warnings if proved else ()), *self.notes],
            "model": None
            if proved is None
            else {
                "name": proved.bundle.name,
                "version": proved.bundle.version,
                "digest": proved.bundle.digest,
                "architecture": proved.bundle.manifest.architecture,
                "classes": list(proved.bundle.classes),
            },
            "engine": None
            if proved is None
            else {"device": proved.engine.device, "precision": proved.engine.precision},
            "quantization": None
            if proved is None or proved.bundle.manifest.quantization is None
            else proved.bundle.manifest.quantization.model_dump(),
            "sum_rule_error": None if proved is None else proved.proof.sum_rule_error,
            "golden": None if proved is None else _golden_json(proved),
            "labelled": None if self.predictions is None else _labelled_json(self.predictions, self.met),
        }


def _golden_json(proved: Proved) -> dict[str, Any] | None:
    golden, report = proved.bundle.golden, proved.proof.golden
    if golden is None or report is None:
        return None
    return {
        "tolerance": proved.bundle.manifest.golden.tolerance,
        "holds": report.holds,
        "max_probability_difference": report.max_probability_difference,
        "top1_disagreements": report.top1_disagreements,
        "recorded_with": dict(golden.made_with),
        "measured_with": environment(proved.engine.device, proved.engine.precision, proved.engine.runtime),
        "images": [
            {
                "file": row.file,
                "expected": proved.bundle.classes[row.expected_index],
                "expected_probability": row.expected_probability,
                "measured": None if row.measured_index is None else proved.bundle.classes[row.measured_index],
                "measured_probability": row.measured_probability,
                "max_probability_difference": row.max_probability_difference,
                "max_logit_difference": row.max_logit_difference,
                "holds": row.holds,
            }
            for row in report.rows
        ],
    }


def _labelled_json(predictions: Predictions, met: Met) -> dict[str, Any]:
    figures = figures_json(predictions.figures()) if predictions.items else {"labelled": 0}
    return {
        **figures,
        "met_before": asdict(met),
        "mistakes": _mistakes(predictions, len(predictions.items)),
        "failed": [
            {"file": str(failure.item.path), "code": failure.error.code, "reason": failure.error.message}
            for failure in predictions.failures
        ],
    }


def _mistakes(predictions: Predictions, count: int) -> list[dict[str, Any]]:
    classes, probabilities = predictions.classes, predictions.probabilities
    rows = []
    for position in surest_mistakes(predictions, 1.0, count):
        item, predicted = predictions.items[position], int(predictions.predicted[position])
        rows.append(
            {
                "file": str(item.path),
                "true": classes[item.class_index],
                "predicted": classes[predicted],
                "probability": float(probabilities[position, predicted]),
                "true_probability": float(probabilities[position, item.class_index]),
            }
        )
    return rows


# --- for people --------------------------------------------------------------------------------


def print_verified(verified: Verified, *, as_json: bool) -> None:
    """To standard output."""
    if as_json:
        print(json.dumps(verified.as_json(), ensure_ascii=False, indent=2))  # noqa: T201
        return
    console = Console(highlight=False)
    proved = verified.proved
    if proved is not None:
        _print_golden(console, proved)
    if verified.predictions is not None:
        _print_labelled(console, verified.predictions, verified.met)
    for note in verified.notes:
        console.print(f"[yellow]note:[/] {escape(note)}")
    if verified.reason is not None:
        said = "not proved" if verified.status == "refused" else "lineside"
        console.print(f"[bold red]{said}:[/] {escape(verified.reason)}", soft_wrap=True)
    elif proved is not None:
        for warning in proved.proof.warnings:
            console.print(f"[bold yellow]warning:[/] {escape(warning)}", soft_wrap=True)
        identity = f"{proved.bundle.name}/{proved.bundle.version} {proved.bundle.digest[:19]}…"
        golden = proved.proof.golden
        said = (
            golden.message if golden else "it loads, and its evidence adds up to its logits; no more is known"
        )
        console.print(f"[bold green]proved[/] {identity}: {escape(said)}", soft_wrap=True)


def _print_golden(console: Console, proved: Proved) -> None:
    bundle, engine, report = proved.bundle, proved.engine, proved.proof.golden
    console.print(
        f"[bold]{bundle.name}/{bundle.version}[/]  {bundle.manifest.architecture} on {engine.device}, {engine.precision}; "
        f"evidence and bias add up to the logits within {proved.proof.sum_rule_error:.1e} of the largest",
        soft_wrap=True,
    )
    if (made := bundle.manifest.quantization) is not None:
        console.print(
            f"quantised to {made.kind} with {made.images} pictures: {made.agreement:.2%} of the compared got the class that "
            f"float32 gives, a probability differed by up to {made.drift:.4f}",
            soft_wrap=True,
        )
    if bundle.golden is None or report is None:
        return
    here = environment(engine.device, engine.precision, engine.runtime)
    console.print(_environments(bundle.golden.made_with, here))
    console.print(_golden_table(report, bundle.classes, bundle.manifest.golden.tolerance))


def _environments(recorded: Mapping[str, str], here: Mapping[str, str]) -> Table:
    table = table_of("environment", "golden images recorded with", "measured with")
    for key in sorted({*recorded, *here}, key=lambda key: (key not in here, key)):
        then, now = recorded.get(key, "-"), here.get(key, "-")
        colour = "[yellow]" if then != now and key in recorded and key in here else "[default]"
        table.add_row(escape(key), escape(then), f"{colour}{escape(now)}[/]")
    return table


def _golden_table(report: GoldenReport, classes: Sequence[str], tolerance: float) -> Table:
    table = table_of("golden image", "recorded", "measured", ">Δ prob.", ">Δ logit", "")
    table.title = f"golden images; difference of a probability accepted: {tolerance:g}"
    for row in report.rows:
        table.add_row(
            escape(row.file),
            f"{escape(classes[row.expected_index])} {row.expected_probability:.4f}",
            _measured(row, classes),
            f"{row.max_probability_difference:.1e}",
            "not finite" if row.max_logit_difference is None else f"{row.max_logit_difference:.1e}",
            "[green]holds[/]" if row.holds else "[bold red]FAILS[/]",
        )
    return table


def _measured(row: GoldenRow, classes: Sequence[str]) -> str:
    if row.measured_index is None or row.measured_probability is None:
        return "not finite"
    return f"{escape(classes[row.measured_index])} {row.measured_probability:.4f}"


def _print_labelled(console: Console, predictions: Predictions, met: Met) -> None:
    if predictions.items:
        console.print(figures_tables(predictions.figures(), claims=not met.trained_on))
    if (said := met_sentence(met, len(predictions.items), words_of("en"))) is not None:
        console.print(f"[bold yellow]warning:[/] {escape(said)}", soft_wrap=True)
    if mistakes := _mistakes(predictions, MAX_MISTAKES):
        total = len(surest_mistakes(predictions, 1.0, len(predictions.items)))
        table = table_of("picture", "true", "predicted", ">probability", ">of the true class")
        table.title = f"the {len(mistakes)} surest of {total} mistakes" if total > 1 else "the one mistake"
        for row in mistakes:
            table.add_row(
                escape(_short(row["file"])),
                escape(row["true"]),
                escape(row["predicted"]),
                f"{row['probability']:.4f}",
                f"{row['true_probability']:.4f}",
            )
        console.print(table)
    failures = predictions.failures
    if failures:
        console.print(f"[yellow]could not be read, not counted: {len(failures)}[/]")
    for failure in failures[:MAX_FAILURES]:
        console.print(
            f"  {escape(_short(str(failure.item.path)))}: {escape(failure.error.message)}", soft_wrap=True
        )
    if len(failures) > MAX_FAILURES:
        console.print(f"  and {len(failures) - MAX_FAILURES} more (--json lists all)")


def _short(path: str) -> str:
    """Class folder and file; what stands above is the same for all."""
    return "/".join(path.replace("\\", "/").split("/")[-2:])
