"""`lineside audit`: what besides the animal could tell the classes of a folder apart, and whether a model uses it.

folder [+ bundle] -> Audits -> sentences and tables on the screen, JSON, or a page
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from app import __version__
from app.bundles.problems import listed
from app.bundles.repository import open_bundle
from app.cli.bundle_argument import bundle_folder
from app.cli.evaluate import proved_here, telling
from app.cli.summary import table_of
from app.errors import InvalidRequest
from app.evaluation.audit import Audit, audit_folder
from app.evaluation.evaluate import Options, check_damage, check_groups, evaluate
from app.evaluation.evaluated import ModelFacts
from app.evaluation.groups import grouping
from app.evaluation.labelled import LabelledItem, read_labelled
from app.evaluation.predictions import Failure, Limits
from app.evaluation.records import as_text, audit_json, failures_json
from app.evaluation.report_folder import check_folder, write_folder
from app.evaluation.walk import is_hidden, plain
from app.explain.sentence import Language
from app.reports.audit_page import audit_page
from app.reports.audit_words import FACT_WORDS, findings
from app.settings import Settings
from app.training.folder import SIDE_FOLDERS, list_folder
from app.wiring.machine import available_cores

MAX_GROUPS = 8
"""Columns of a table in a terminal."""


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """The command line, as given."""

    bundle: str | None
    folder: Path
    out: Path | None
    language: Language
    max_damaged: float
    painted: int
    group_by: str = "none"


@dataclass(frozen=True, slots=True)
class AuditedFolder:
    """An audit, and what it is of."""

    audit: Audit
    model: ModelFacts | None
    """That was asked."""
    failures: tuple[Failure, ...]
    """Pictures that could not be read."""
    labels: dict[str, str]
    """Class -> what people read in the language of the report."""


def run_audit(settings: Settings, given: AuditOptions, *, as_json: bool) -> None:
    """All of it; raises LinesideError, and then nothing is written."""
    if given.out is not None:
        check_folder(given.out)
    found = audited(settings, given)
    audit, labels = found.audit, found.labels
    folder, created = given.folder.resolve().name, time.strftime("%Y-%m-%d")
    report = {
        "lineside": __version__,
        "created": created,
        "folder": folder,
        "digest": None if found.model is None else found.model.identity.digest,
        **audit_json(audit),
        "findings": [
            {"severity": each.severity, "text": each.text} for each in findings(audit, given.language, labels)
        ],
        "failed": failures_json(found.failures, given.folder),
    }
    if given.out is not None:
        files = {
            "audit.html": audit_page(
                audit,
                folder,
                given.language,
                labels,
                model=found.model,
                failures=found.failures,
                created=created,
            ),
            "audit.json": as_text(report),
        }
        write_folder(given.out, files)
    if as_json:
        print(json.dumps(report, ensure_ascii=False, indent=2))  # noqa: T201
        return
    _print(found, given)


def audited(settings: Settings, given: AuditOptions) -> AuditedFolder:
    """All that is reported.

    Raises:
        BundleRefused: the bundle is not proved on this machine.
        InvalidRequest: the folder or its pictures.
    """
    bundle = None
    if given.bundle is not None:
        bundle = open_bundle(bundle_folder(given.bundle, settings.model_repository))
    display = {} if bundle is None else bundle.manifest.display
    classes, items, class_depth = labelled_items(given.folder, bundle.classes if bundle else (), display)
    options = Options(
        Limits(settings.max_body_bytes, settings.max_image_pixels),
        tuple(settings.batch_sizes),
        settings.image_threads or available_cores(),
        given.max_damaged,
        mistakes=0,
        painted=given.painted,
        group_of=grouping(given.group_by),
    )
    with telling() as tell:
        audit, facts, broken = audit_folder(
            items,
            given.folder,
            classes,
            labels=[label for names in display.values() for label in names.values()],
            limits=options.limits,
            threads=options.threads,
            class_depth=class_depth,
            group_of=options.group_of,
            on_done=lambda done: tell("reading", done, len(items)),
        )
        check_damage(broken, len(items), given.max_damaged)
        check_groups(options.group_of, facts)
        if bundle is None:
            return AuditedFolder(audit, None, tuple(broken), {})
        proved = proved_here(settings, bundle.folder)
        try:
            evaluated, audit = evaluate(
                proved.bundle,
                proved.engine,
                items,
                facts,
                audit,
                options,
                tell,
                warnings=proved.proof.warnings,
            )
        finally:
            proved.engine.close()
    labels = dict(zip(classes, bundle.labels(given.language), strict=True))
    return AuditedFolder(audit, evaluated.model, evaluated.predictions.failures, labels)


def labelled_items(
    folder: Path, classes: Sequence[str], display: Mapping[str, Mapping[str, str]]
) -> tuple[tuple[str, ...], tuple[LabelledItem, ...], int]:
    """Classes, pictures, and how many folders lie between the folder and a picture's name.

    Args:
        folder: of class folders; or of train/, val/ and perhaps test/ that hold them, as `lineside finetune` takes it.
        classes: of a bundle; empty: as the folders are called.
        display: of the bundle.
    """
    rooms = _subfolders(folder)
    if "train" in {SIDE_FOLDERS.get(name.lower()) for name in rooms}:
        names = tuple(classes) or list_folder(folder).classes
        found = [read_labelled(folder / room, names, display).items for room in rooms]
        return names, tuple(item for items in found for item in items), 2
    names = tuple(classes) or class_folders(folder)
    return names, read_labelled(folder, names, display).items, 1


def class_folders(folder: Path) -> tuple[str, ...]:
    """The folder's subfolders, sorted; raises InvalidRequest for fewer than two, and for sides such as val/ and test/."""
    names = tuple(dict.fromkeys(map(plain, _subfolders(folder))))
    if len(names) < 2 or all(name.lower() in SIDE_FOLDERS for name in names):
        said = f"only {listed(names)}" if names else "no folder"
        raise InvalidRequest(
            f"{folder}: there is {said} in it; give the folder that holds one folder for each class"
        )
    return names


def _subfolders(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        return ()
    return tuple(sorted(each.name for each in folder.iterdir() if each.is_dir() and not is_hidden(each.name)))


def _print(found: AuditedFolder, given: AuditOptions) -> None:
    audit = found.audit
    console = Console(highlight=False)
    for each in audit.associations:
        if len(each.table.columns) == 1:
            continue
        columns = each.table.columns[:MAX_GROUPS]
        table = table_of("class", *(f">{escape(name)}" for name in columns))
        table.title = f"class and {FACT_WORDS['en'][each.fact]}: Cramér's V {each.cramers_v:.2f}"
        if len(each.table.columns) > MAX_GROUPS:
            table.title += f"; the first {MAX_GROUPS} of {len(each.table.columns)} groups"
        for row, name in enumerate(each.table.rows):
            counts = each.table.counts[row, : len(columns)].tolist()
            table.add_row(escape(name), *(str(count) if count else "·" for count in counts))
        console.print(table)
    said = findings(audit, given.language, found.labels)
    for finding in said:
        mark = "[bold yellow]warning:[/]" if finding.severity == "warning" else "[dim]note:[/]"
        console.print(f"{mark} {escape(finding.text)}", soft_wrap=True)
    if not any(finding.severity == "warning" for finding in said):
        console.print("nothing was found that tells the classes apart besides what the pictures show")
    if found.failures:
        console.print(f"[yellow]{len(found.failures)} could not be read and count nowhere[/]")
    if given.out is not None:
        console.print(f"wrote {given.out / 'audit.html'} and audit.json", markup=False, soft_wrap=True)
