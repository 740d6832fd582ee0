"""`lineside export`: the bundle's network in the form that OpenVINO runs, into the bundle, so that a server needs no torch.

bundle -> form made or found -> the golden images on it -> openvino/ in the bundle -> report, exit code
"""

import json
from typing import Any

from rich.console import Console
from rich.markup import escape

from app.cli.bundle_argument import bundle_folder
from app.errors import BundleRefused, LinesideError
from app.settings import Settings
from app.wiring import Machine
from app.wiring.cache import FormCache
from app.wiring.exports import ExportedBundle, export_into, size_bytes

DONE, REFUSED, INVALID = 0, 1, 2


def run_export(settings: Settings, given: str, *, as_json: bool) -> int:
    """Report and exit code."""
    exported, reason, code = None, None, DONE
    try:
        folder = bundle_folder(given, settings.model_repository)
        with Console(stderr=True).status("converting and proving"):
            exported = export_into(folder, machine=cpu(settings), max_pixels=settings.max_image_pixels)
    except BundleRefused as error:
        reason, code = error.message, REFUSED
    except LinesideError as error:
        reason, code = error.message, INVALID
    if as_json:
        print(json.dumps(_json(given, exported, reason, code), ensure_ascii=False, indent=2))  # noqa: T201
    else:
        _print(exported, reason)
    return code


def cpu(settings: Settings) -> Machine:
    """Forms are made and proved on the CPU, whatever serves."""
    return Machine(
        "cpu", threads=settings.inference_threads, cache=FormCache(settings.cache_folder), layer_maps="off"
    )


def _json(given: str, exported: ExportedBundle | None, reason: str | None, code: int) -> dict[str, Any]:
    """For scripts; keys are stable."""
    status = {DONE: "exported", REFUSED: "refused", INVALID: "invalid"}[code]
    if exported is not None and not exported.is_new:
        status = "kept"
    return {
        "bundle": given,
        "status": status,
        "reason": reason,
        "model": None
        if exported is None
        else {
            "name": exported.bundle.name,
            "version": exported.bundle.version,
            "digest": exported.bundle.digest,
        },
        "form": None
        if exported is None
        else {
            "bytes": size_bytes(exported.form),
            "sha256": exported.form.sha256,
            "made_with": dict(exported.form.made_with),
            "replaced": exported.replaced,
        },
        "sum_rule_error": None if exported is None else exported.proof.sum_rule_error,
        "golden": None
        if exported is None or exported.proof.golden is None
        else {
            "holds": exported.proof.golden.holds,
            "max_probability_difference": exported.proof.golden.max_probability_difference,
        },
        "warnings": [] if exported is None else list(exported.proof.warnings),
    }


def _print(exported: ExportedBundle | None, reason: str | None) -> None:
    console = Console(highlight=False)
    if exported is None:
        console.print(f"[bold red]not exported:[/] {escape(reason or '')}", soft_wrap=True)
        return
    bundle, form = exported.bundle, exported.form
    if exported.replaced:
        console.print(f"[yellow]replaced:[/] {escape(exported.replaced)}", soft_wrap=True)
    for warning in exported.proof.warnings:
        console.print(f"[bold yellow]warning:[/] {escape(warning)}", soft_wrap=True)
    said = "[bold green]exported[/]" if exported.is_new else "[bold green]kept[/], it has its form already:"
    console.print(
        f"{said} {bundle.name}/{bundle.version} {bundle.manifest.architecture}: openvino/float32, {megabytes(size_bytes(form))}, "
        f"made with {', '.join(f'{name} {number}' for name, number in form.made_with.items())}",
        soft_wrap=True,
    )
    console.print(
        f"evidence and bias add up to the logits within {exported.proof.sum_rule_error:.1e} of the largest"
    )
    if exported.proof.golden is not None:
        console.print(escape(exported.proof.golden.message), soft_wrap=True)


def megabytes(count: int) -> str:
    """For people."""
    return f"{count / 1e6:.1f} MB"
