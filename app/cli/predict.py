"""`lineside predict`: scores pictures without a server, through the same service that requests take.

paths -> files -> service, many at a time -> predictions.csv, overlays/, summary.json

Files are written whole or not at all.
"""

import asyncio
import csv
import hashlib
import io
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.cli.outputs import check_output, make_room, write_outputs
from app.cli.overlay_files import folder_of, overlay_file, overlay_names, remove_earlier
from app.cli.summary import figures_tables
from app.domain import ClassScore
from app.errors import InvalidRequest, LinesideError, NotReady, QueueFull
from app.evaluation.metrics import Figures, figures
from app.evaluation.origins import Met, met_before, sides_of
from app.evaluation.pictures import SUFFIXES, find_pictures, read_picture
from app.evaluation.records import figures_json
from app.evaluation.walk import plain
from app.reports.evaluation_sentences import met_sentence
from app.reports.evaluation_words import words_of
from app.serving.deployment import Deployment
from app.serving.drawing import DrawingStyle
from app.serving.service import Service
from app.settings import Settings
from app.wiring import Wiring

TABLE, SUMMARY = "predictions.csv", "summary.json"
DEADLINE_S = 3600.0
"""Nobody waits at a gate; this only ends a device that hangs."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What is kept of one picture until all are done: no map, and no number that is not in its line."""

    path: Path
    line: str
    """Of predictions.csv."""
    true_index: int | None = None
    """Of the class that its folder is called after."""
    predicted_index: int | None = None
    digest: str = ""
    """SHA-256 of the file."""
    error: LinesideError | None = None


def run_predict(
    settings: Settings,
    paths: Sequence[Path],
    *,
    model: str | None,
    version: int | None,
    out: Path,
    with_overlays: bool,
) -> int:
    """Score all pictures and write the results; how many could not be scored.

    Raises:
        NotReady, UnknownModel, InvalidRequest: the model cannot be used, or the results could not be written.
    """
    console = Console(stderr=True, highlight=False)
    files = find_pictures(paths)
    if not files:
        raise InvalidRequest(
            f"no pictures ({', '.join(sorted(SUFFIXES))}) under {', '.join(map(str, paths))}"
        )
    # Before the work, not after it.
    make_room(out / "overlays" if with_overlays else out)
    for name in (TABLE, SUMMARY):
        check_output(out / name)
    scored, deployment = asyncio.run(
        _score(
            settings,
            files,
            model=model,
            version=version,
            out=out,
            with_overlays=with_overlays,
            console=console,
        )
    )
    labelled = [
        (row.true_index, row.predicted_index)
        for row in scored
        if row.true_index is not None and row.predicted_index is not None
    ]
    known = (row.digest for row in scored if row.true_index is not None and row.predicted_index is not None)
    met = met_before(sides_of(deployment.bundle.folder), known)
    failures = [row for row in scored if row.error is not None]
    pairs = np.array(labelled, dtype=np.int64).reshape(-1, 2)
    summary = figures(pairs[:, 0], pairs[:, 1], deployment.classes)
    table = "".join((_header(deployment.classes), *(row.line for row in scored)))
    # A file's name may be no UTF-8; its bytes are written as they are.
    outputs = [(out / TABLE, table.encode("utf-8", "surrogateescape"))]
    # One of an earlier run would be taken for this one's.
    if labelled or (out / SUMMARY).exists():
        outputs.append(
            (out / SUMMARY, _summary(summary, met, deployment, pictures=len(scored), failed=len(failures)))
        )
    write_outputs(*outputs)
    for place, _ in outputs:
        console.print(f"wrote {place}", markup=False, soft_wrap=True)
    if labelled:
        Console(highlight=False).print(figures_tables(summary, claims=not met.trained_on))
    if (said := met_sentence(met, summary.count, words_of("en"))) is not None:
        console.print(f"[bold yellow]warning:[/] {escape(said)}", soft_wrap=True)
    for row in failures:
        console.print(f"[red]{escape(str(row.path))}[/]: {escape(row.error.message) if row.error else ''}")
    return len(failures)


async def _score(
    settings: Settings,
    files: Sequence[Path],
    *,
    model: str | None,
    version: int | None,
    out: Path,
    with_overlays: bool,
    console: Console,
) -> tuple[list[Scored], Deployment]:
    wiring = Wiring(settings)
    service = wiring.service
    try:
        with console.status("loading the model"):
            await wiring.load_models(only=(model, version))
        deployment = wiring.catalogue.find_ready(model, version)
        names = overlay_names(files) if with_overlays else {}
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("predicting", total=len(files))

            indices = {plain(name): index for index, name in enumerate(deployment.classes)}

            async def one(path: Path) -> Scored:
                true_index = indices.get(plain(folder_of(path)))
                overlay = out / "overlays" / names[path] if with_overlays else None
                return await _score_one(service, deployment, path, true_index, settings, overlay)

            # Enough at a time to fill the largest batch while the next one is decoded.
            at_once = min(2 * max(deployment.batch_sizes), settings.max_queue_entries, settings.max_requests)
            rows = await _all(files, one, at_once, lambda: progress.advance(task))
        if with_overlays:
            classes = deployment.classes
            written = {
                overlay_file(names[row.path], classes[row.predicted_index])
                for row in rows
                if row.predicted_index is not None
            }
            remove_earlier(out / "overlays", names.values(), written, classes)
        return rows, deployment
    finally:
        await wiring.close(timeout_s=settings.drain_timeout_s)


async def _all(
    files: Sequence[Path],
    one: Callable[[Path], Awaitable[Scored]],
    at_once: int,
    on_done: Callable[[], None],
) -> list[Scored]:
    """In order; the first error that is raised ends the others, too.

    Pictures that are to be drawn are held decoded, and large ones may find the memory taken by their neighbours: then fewer
    are asked at once, and in the end one, so that only what is too large by itself finds no room.
    """
    rows: dict[Path, Scored] = {}
    waiting = iter(files)

    async def work() -> None:
        for path in waiting:
            row = await one(path)
            if isinstance(row.error, QueueFull):
                return
            rows[path] = row
            on_done()

    tasks = [asyncio.create_task(work()) for _ in range(min(at_once, len(files)))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    for path in files:
        if path not in rows:
            rows[path] = await one(path)
            on_done()
    return [rows[path] for path in files]


async def _score_one(
    service: Service,
    deployment: Deployment,
    path: Path,
    true_index: int | None,
    settings: Settings,
    overlay: Path | None,
) -> Scored:
    """`overlay`: where it goes, but for the class that it shows."""
    classes = deployment.classes
    true_class = "" if true_index is None else classes[true_index]
    now = time.monotonic()
    identity = deployment.identity
    try:
        body = await asyncio.to_thread(read_picture, path, settings.max_body_bytes)
        with service.admission.admit(
            path.name, model=identity.name, version=identity.version, started=now, deadline=now + DEADLINE_S
        ) as ticket:
            style = None if overlay is None else DrawingStyle(max_side_px=settings.max_overlay_side_px)
            prediction = await service.predict(ticket, body, top_k=len(classes), style=style)
    except NotReady:
        raise  # the model's fault, not the picture's
    except LinesideError as error:
        blanks = [""] * (len(classes) + 3)
        line = _line(str(path), true_class, *blanks, error.code, error.message)
        return Scored(path, line, true_index, error=error)
    top = prediction.top
    if overlay is not None and prediction.cam is not None:
        place = overlay.with_name(overlay_file(overlay.name, top.class_name))
        await asyncio.to_thread(write_outputs, (place, prediction.cam.data))
    line = _line(
        str(path),
        true_class,
        top.class_name,
        f"{top.probability:.6f}",
        *_probabilities(prediction.top_k),
        "; ".join(prediction.warnings),
        "",
        "",
    )
    return Scored(path, line, true_index, top.class_index, hashlib.sha256(body).hexdigest())


def _header(classes: Sequence[str]) -> str:
    """What stands in a line: what a picture is, what was predicted, every probability, or the error."""
    columns = [f"probability_{name}" for name in classes]
    return _line("file", "true_class", "class", "probability", *columns, "warnings", "error_code", "error")


def _line(*cells: str) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _probabilities(scores: Sequence[ClassScore]) -> list[str]:
    """Of all classes, in the order of the outputs."""
    return [f"{score.probability:.6f}" for score in sorted(scores, key=lambda score: score.class_index)]


def _summary(summary: Figures, met: Met, deployment: Deployment, *, pictures: int, failed: int) -> bytes:
    identity = deployment.identity
    report = {
        "model": {"name": identity.name, "version": identity.version, "digest": identity.digest},
        "engine": {"device": deployment.engine.device, "precision": deployment.engine.precision},
        "pictures": pictures,
        "failed": failed,
        **figures_json(summary),
        "met_before": asdict(met),
    }
    return (json.dumps(report, ensure_ascii=False, indent=2) + "\n").encode()
