"""`lineside models` and `lineside architectures`: tables for people, JSON for scripts."""

import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.bundles.repository import open_bundle, scan
from app.errors import BundleRefused
from app.settings import Settings


def print_models(settings: Settings, *, as_json: bool) -> bool:
    """Every bundle with its state; whether all of them can be opened and there is one."""
    rows: list[dict[str, Any]] = []
    listing = scan(settings.model_repository)
    for folder in listing.found:
        row: dict[str, Any] = {"name": folder.name, "version": folder.version}
        try:
            bundle = open_bundle(folder.folder)
        except BundleRefused as error:
            row["refused"] = error.message
        else:
            changes = () if bundle.golden is None else bundle.golden.changes
            if changes:  # of its weights or its preprocessing: it will not be served
                row["refused"] = "; ".join(changes)
            row |= {
                "architecture": bundle.manifest.architecture,
                "classes": list(bundle.classes),
                "digest": bundle.digest,
                "golden_images": 0 if bundle.golden is None else len(bundle.golden.images),
            }
        rows.append(row)
    rows += [{"name": r.name, "version": r.version, "refused": r.reason} for r in listing.refused]
    rows += [
        {"name": name, "version": None, "refused": reason} for name, reason in listing.unreadable.items()
    ]
    if as_json:
        told = {"models": rows, "fault": listing.fault, "notes": list(listing.notes)}
        print(json.dumps(told, ensure_ascii=False, indent=2))  # noqa: T201
    else:
        nothing = f"{settings.model_repository}/: " + (
            listing.fault or "no bundle; one lives in <name>/1/ (docs/bundles.md)"
        )
        _print_models_table(rows, listing.notes, nothing)
    return bool(rows) and not any("refused" in row for row in rows)


def _print_models_table(rows: list[dict[str, Any]], notes: tuple[str, ...], nothing: str) -> None:
    console = Console(highlight=False)
    if not rows:
        console.print(escape(nothing))
    else:
        table = Table("model", "version", "architecture", "classes", "golden", "digest")
        for row in rows:
            if "refused" in row:
                table.add_row(row["name"], str(row["version"] or "?"), "[red]refused[/]")
            else:
                table.add_row(
                    row["name"],
                    str(row["version"]),
                    row["architecture"],
                    escape(", ".join(row["classes"])),
                    str(row["golden_images"]),
                    row["digest"][:19] + "…",
                )
        console.print(table)
    for row in rows:
        if "refused" in row:  # below, in whole lines: reasons are sentences, and a column is narrow
            place = f"{row['name']}/{row['version'] or '?'}"
            reason = escape(row["refused"].removeprefix(f"{place}: "))
            console.print(f"[red]refused[/] {place}: {reason}", soft_wrap=True)
    for note in notes:
        console.print(f"note: {escape(note)}")


def print_architectures(*, as_json: bool) -> None:
    """Every architecture by name."""
    from app.nets.architectures import ARCHITECTURES  # noqa: PLC0415 - torch; bundles are listed without it

    if as_json:
        names = [
            {
                "name": a.name,
                "family": a.family,
                "evidence": a.evidence_kind,
                "head": "linear" if a.own_head is None else "own",
                "layers": list(a.layers),
                "extra": a.extra,
                "summary": a.summary,
            }
            for a in ARCHITECTURES.values()
        ]
        print(json.dumps(names, indent=2))  # noqa: T201
        return
    table = Table("architecture", "family", "evidence", "head", "what it is")
    for architecture in ARCHITECTURES.values():
        table.add_row(
            architecture.name,
            architecture.family,
            architecture.evidence_kind,
            "linear" if architecture.own_head is None else "own",
            architecture.summary + (f" (extra: {architecture.extra})" if architecture.extra else ""),
        )
    console = Console(highlight=False)
    console.print(table)
    console.print(
        "evidence: of the network's own last layers; exact: the map averages to the logit, gradient: through the "
        "head alone. A linear head on any of them is exact. head: what [head] kind names an untouched network's.",
    )
