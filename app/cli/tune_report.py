"""What `lineside tune` says: tables for people, JSON for scripts."""

import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.cli.summary import table_of
from app.settings import PREFIX
from app.tuning.choosing import Limits, Recommendation, best_size, may_serve, server_per_s
from app.tuning.configurations import Configuration
from app.tuning.doubts import doubts
from app.tuning.env_file import settings_of
from app.tuning.measured import Measured, Row, Timing


def print_tuned(measured: Measured, chosen: Recommendation | None, limits: Limits, *, as_json: bool) -> None:
    """To standard output."""
    if as_json:
        Console().print_json(json.dumps(tuned_json(measured, chosen)))
        return
    console = Console(highlight=False)
    here = measured.here
    console.print(
        f"[bold]{escape(measured.name)}[/] version {measured.version} on {escape(here.title)}",
        soft_wrap=True,
    )
    console.print(_overview(measured, chosen, limits))
    console.print(_rates(measured, chosen))
    costs = measured.pictures
    console.print(
        f"one picture: decoding {_ms(costs.decode)}, geometry {_ms(costs.geometry)} on one thread (mean of {costs.pictures})",
        soft_wrap=True,
    )
    console.print(
        "CPU ms: of the engine, for one image; server/s: what the engine allows, and cores / (CPU time of engine + decoding + "
        "geometry)",
        style="dim",
        soft_wrap=True,
    )
    for note in measured.notes:
        console.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    for doubt in doubts(measured):
        console.print(f"[bold yellow]caution:[/] {escape(doubt)}", soft_wrap=True)
    if chosen is not None:
        console.print(f"[bold green]recommended:[/] {chosen.configuration}")
        for name, value in settings_of(chosen, measured).items():
            console.print(f"  {PREFIX}{name.upper()}={value}", markup=False)


def _overview(measured: Measured, chosen: Recommendation | None, limits: Limits) -> Table:
    """One line a configuration, at the batch size that serves most."""
    table = table_of("engine", ">threads", ">one image", ">batch", ">CPU ms", ">server/s", "golden")
    for row in measured.rows:
        size = best_size(row, measured, limits)
        lone = row.timings[1]
        table.add_row(
            *_named(row, chosen),
            _ms(lone),
            str(size),
            f"{row.cpu_s_per_image(size) * 1000:.1f}",
            f"{server_per_s(row, size, measured):.1f}",
            _golden(row),
            style="bold green" if _is_chosen(row, chosen) else None,
        )
    return table


def _rates(measured: Measured, chosen: Recommendation | None) -> Table:
    """Images a second of the engine alone, by batch size."""
    sizes = list(measured.rows[0].timings)
    table = table_of("engine", ">threads", *(f">{size}" for size in sizes))
    table.title = "images/s of the engine alone, by batch size"
    for row in measured.rows:
        is_chosen = _is_chosen(row, chosen)
        kept = chosen.batch_sizes if is_chosen and chosen is not None else sizes
        table.add_row(
            *_named(row, chosen),
            *(
                f"{row.per_s(size):.1f}" if size in kept else f"[not bold dim]{row.per_s(size):.1f}[/]"
                for size in sizes
            ),
            style="bold green" if is_chosen else None,
        )
    return table


def _named(row: Row, chosen: Recommendation | None) -> tuple[str, str]:
    configuration = row.configuration
    return (
        f"{'→' if _is_chosen(row, chosen) else ' '} {configuration.runtime} {configuration.precision}",
        "-" if configuration.threads is None else str(configuration.threads),
    )


def _is_chosen(row: Row, chosen: Recommendation | None) -> bool:
    return chosen is not None and row.configuration == chosen.configuration


def _golden(row: Row) -> str:
    if row.refusal is not None:
        return "[bold red]FAILS[/]"
    if row.golden_difference is None:
        return "none" if may_serve(row) else "[yellow]unproved[/]"
    return "holds"


def _ms(timing: Timing) -> str:
    return f"{timing.median_s * 1000:.1f} ms {_spread(timing)}"


def _spread(timing: Timing) -> str:
    return "±?" if timing.spread is None else f"±{100 * timing.spread:.0f} %"


# --- JSON --------------------------------------------------------------------------------------


def tuned_json(measured: Measured, chosen: Recommendation | None) -> dict[str, Any]:
    """For scripts; keys are stable."""
    here, costs = measured.here, measured.pictures
    return {
        "model": {"name": measured.name, "version": measured.version},
        "machine": {
            "device": here.device,
            "name": here.device_name,
            "cores": here.cores,
            "host_cores": here.host_cores,
            "load": here.load_before,
            "load_after": here.load_after,
            "versions": dict(here.made_with),
        },
        "date": here.date,
        "seconds": measured.seconds,
        "pictures": {
            "count": costs.pictures,
            "decode": _timing_json(costs.decode),
            "geometry": _timing_json(costs.geometry),
        },
        "configurations": [
            {
                **_configuration_json(row.configuration),
                "may_serve": may_serve(row),
                "refusal": row.refusal,
                "golden_difference": row.golden_difference,
                "batches": [
                    {
                        "batch_size": size,
                        **_timing_json(timing),
                        "engine_per_s": row.per_s(size),
                        "server_per_s": server_per_s(row, size, measured),
                    }
                    for size, timing in row.timings.items()
                ],
            }
            for row in measured.rows
        ],
        "recommended": None
        if chosen is None
        else {
            **_configuration_json(chosen.configuration),
            "batch_sizes": list(chosen.batch_sizes),
            "image_threads": chosen.image_threads,
            "max_queue_entries": chosen.max_queue_entries,
            "lone_ms": chosen.lone_s * 1000,
            "engine_per_s": chosen.engine_per_s,
            "server_per_s": chosen.server_per_s,
            "settings": {
                f"{PREFIX}{name.upper()}": value for name, value in settings_of(chosen, measured).items()
            },
        },
        "notes": list(measured.notes),
        "cautions": doubts(measured),
    }


def _configuration_json(configuration: Configuration) -> dict[str, Any]:
    return {
        "engine": configuration.runtime,
        "precision": configuration.precision,
        "threads": configuration.threads,
    }


def _timing_json(timing: Timing) -> dict[str, float | int | None]:
    return {
        "median_ms": timing.median_s * 1000,
        "median_cpu_ms": timing.median_cpu_s * 1000,
        "spread": timing.spread,
        "repeats": len(timing.wall_s),
    }
