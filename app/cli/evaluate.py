"""`lineside evaluate`: one or two bundles on a labelled folder, as a page, a table and JSON.

bundles -> the server's own proof; folder -> every picture once through each -> Evaluation -> three files at once
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.bundles.repository import Bundle, open_bundle
from app.cli.bundle_argument import bundle_folder
from app.cli.summary import MAX_CLASS_ROWS, figures_tables, table_of
from app.errors import InvalidRequest
from app.evaluation.audit import Audit, audit_folder
from app.evaluation.evaluate import (
    Options,
    Tell,
    check_damage,
    check_groups,
    evaluate,
    history_path,
    shares_of,
)
from app.evaluation.evaluated import LEAST_PER_CLASS, Evaluated, Evaluation, compare
from app.evaluation.groups import grouping
from app.evaluation.history import EpochRow, read_history
from app.evaluation.labelled import LabelledFolder, read_labelled
from app.evaluation.predictions import Failure, Limits
from app.evaluation.prevalence import OnTheLine
from app.evaluation.records import as_text, evaluation_json, predictions_csv
from app.evaluation.report_folder import check_folder, write_folder
from app.explain.sentence import Language
from app.reports.audit_section import warnings
from app.reports.evaluation_page import evaluation_page
from app.reports.evaluation_sentences import met_sentence, verdict
from app.reports.evaluation_words import words_of
from app.reports.numbers import between, percent
from app.settings import Settings
from app.wiring import Machine, Proved, prove
from app.wiring.machine import available_cores


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """The command line, as given."""

    bundles: Sequence[str]
    folder: Path
    out: Path
    language: Language
    max_damaged: float
    mistakes: int
    painted: int
    group_by: str = "none"
    prevalence: tuple[str, ...] = ()


def run_evaluate(settings: Settings, given: EvaluateOptions) -> None:
    """All of it; raises LinesideError, and then nothing is written."""
    check_folder(given.out)
    started = time.perf_counter()
    evaluation = evaluated_folder(settings, given)
    seconds = time.perf_counter() - started
    write_folder(
        given.out,
        {
            "evaluation.html": evaluation_page(evaluation, given.language),
            "evaluation.json": as_text(evaluation_json(evaluation, given.folder)),
            "predictions.csv": predictions_csv(
                evaluation.subjects, evaluation.failures, given.folder
            ).encode(),
        },
    )
    _print(evaluation, given, seconds)


def evaluated_folder(settings: Settings, given: EvaluateOptions) -> Evaluation:
    """Every figure, before anything is drawn.

    Raises:
        BundleRefused: a bundle is not proved on this machine.
        InvalidRequest: the folder or its pictures.
    """
    # Opened before they are proved: a misspelt class folder is told before a network is built.
    folders = [bundle_folder(name, settings.model_repository) for name in given.bundles]
    bundles = [open_bundle(folder) for folder in folders]
    labelled = [read_labelled(given.folder, each.classes, each.manifest.display) for each in bundles]
    if len(bundles) == 2 and set(bundles[0].classes) != set(bundles[1].classes):
        raise InvalidRequest(
            "the two bundles do not know the same classes, so they cannot be compared picture by picture; "
            "evaluate each alone"
        )
    for bundle, pictures in zip(bundles, labelled, strict=True):
        shares_of(bundle, given.prevalence, pictures.items)
    options = Options(
        Limits(settings.max_body_bytes, settings.max_image_pixels),
        tuple(settings.batch_sizes),
        settings.image_threads or available_cores(),
        given.max_damaged,
        given.mistakes,
        grouping(given.group_by),
        given.painted,
        given.prevalence,
    )
    subjects, audits, failures = [], [], dict[Path, Failure]()
    with telling() as tell:
        for bundle, pictures in zip(bundles, labelled, strict=True):
            each, audit = _one(settings, bundle, pictures, given.folder, options, tell)
            subjects.append(each)
            audits.append(audit)
            for failure in each.predictions.failures:
                failures.setdefault(
                    failure.item.path, _in_order_of(bundles[0].classes, failure, bundle.classes)
                )
    notes = list(dict.fromkeys(note for pictures in labelled for note in pictures.notes))
    said = ((each.name, met_sentence(each.met, each.figures.count, words_of("en"))) for each in subjects)
    notes += [f"{name}: {text}" for name, text in said if text is not None]
    return Evaluation(
        folder=given.folder.resolve().name,
        subjects=_with_names(subjects),
        audits=tuple(audits),
        comparison=compare(subjects[0], subjects[1]) if len(subjects) == 2 else None,
        history=_history(folders[0]) if len(folders) == 1 else (),
        failures=tuple(failures.values()),
        notes=tuple(notes),
        created=time.strftime("%Y-%m-%d"),
    )


def _one(
    settings: Settings,
    bundle: Bundle,
    pictures: LabelledFolder,
    folder: Path,
    options: Options,
    tell: Tell,
) -> tuple[Evaluated, Audit]:
    """One bundle, proved, asked and let go of."""
    labels = [label for names in bundle.manifest.display.values() for label in names.values()]
    audit, facts, broken = audit_folder(
        pictures.items,
        folder,
        bundle.classes,
        labels=labels,
        limits=options.limits,
        threads=options.threads,
        group_of=options.group_of,
        on_done=lambda done: tell("reading", done, len(pictures.items)),
    )
    check_groups(options.group_of, facts)
    check_damage(broken, len(pictures.items), options.max_damaged)
    proved = proved_here(settings, bundle.folder)
    try:
        return evaluate(
            proved.bundle,
            proved.engine,
            pictures.items,
            facts,
            audit,
            options,
            tell,
            warnings=proved.proof.warnings,
        )
    finally:
        proved.engine.close()


def _in_order_of(classes: Sequence[str], failure: Failure, own: Sequence[str]) -> Failure:
    """With the class index of another model that knows the same classes: all failures stand in one list."""
    index = classes.index(own[failure.item.class_index])
    return replace(failure, item=replace(failure.item, class_index=index))


def proved_here(settings: Settings, folder: Path) -> Proved:
    """On this machine's device, as the server proves it; raises BundleRefused."""
    return prove(
        folder,
        machine=Machine.of(settings),
        batch_sizes=settings.batch_sizes,
        max_pixels=settings.max_image_pixels,
    )


def _with_names(subjects: Sequence[Evaluated]) -> tuple[Evaluated, ...]:
    """Two versions of one name from two repositories are told apart by their digests."""
    if len({each.name for each in subjects}) == len(subjects):
        return tuple(subjects)
    return tuple(
        replace(each, name=f"{each.name} ({each.model.identity.digest[7:15] if each.model else number})")
        for number, each in enumerate(subjects)
    )


def _line_table(line: OnTheLine, classes: Sequence[str]) -> Table:
    """What it does where the classes come as often as --prevalence says."""
    table = table_of("on the line", ">comes", ">precision there", ">95 %")
    for at in np.argsort(-line.shares, kind="stable")[:MAX_CLASS_ROWS].tolist():
        low, high = (percent(end, "en") for end in line.precision_intervals[at])
        precision = "-" if np.isnan(line.precision[at]) else percent(float(line.precision[at]), "en")
        table.add_row(
            escape(classes[at]),
            percent(float(line.shares[at]), "en", digits=2),
            precision,
            between(low, high, "en"),
        )
    return table


def _history(bundle: Path) -> tuple[EpochRow, ...]:
    try:
        return read_history(history_path(bundle).read_text("utf-8"))
    except (OSError, ValueError):
        return ()


@contextmanager
def telling() -> Iterator[Tell]:
    """Bars on standard error, one for each stage."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total)
            progress.advance(tasks[stage], done)

        yield tell


def _print(evaluation: Evaluation, given: EvaluateOptions, seconds: float) -> None:
    console = Console(highlight=False)
    for each in evaluation.subjects:
        console.print(f"[bold]{escape(each.name)}[/]")
        console.print(
            figures_tables(each.figures, claims=each.claims_accuracy, interval=each.accuracy_interval)
        )
        if each.on_the_line is not None:
            console.print(_line_table(each.on_the_line, each.classes))
        if each.scarce:
            names = ", ".join(f"{name} {count}" for name, count in each.scarce.items())
            console.print(
                f"[yellow]no accuracy is claimed:[/] fewer than {LEAST_PER_CLASS} {'pictures' if each.groups is None else 'groups'} of {escape(names)}",
                soft_wrap=True,
            )
    if evaluation.comparison is not None:
        first, second = evaluation.subjects
        console.print(escape(verdict(evaluation.comparison, first.name, second.name, "en")), soft_wrap=True)
    for text in warnings(evaluation.audits, "en", {}):
        console.print(f"[bold yellow]warning:[/] {escape(text)}", soft_wrap=True)
    if evaluation.failures:
        console.print(f"[yellow]{len(evaluation.failures)} could not be read and count nowhere[/]")
    for note in evaluation.notes:
        console.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    console.print(
        f"wrote {given.out / 'evaluation.html'}, evaluation.json and predictions.csv ({seconds:.1f} s of asking)",
        markup=False,
        soft_wrap=True,
    )
