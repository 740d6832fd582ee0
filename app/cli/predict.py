"""`lineside predict`: scores pictures without a server, through the same service that requests take.

paths -> files -> service, many at a time -> predictions.csv, overlays/, summary.json

Files are written whole or not at all.
"""

import asyncio
import csv
import io
import itertools
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.cli.outputs import check_output, write_outputs
from app.cli.summary import figures_tables
from app.domain import Prediction
from app.errors import InvalidRequest, LinesideError, NotReady
from app.evaluation.metrics import Figures, figures
from app.evaluation.pictures import SUFFIXES, find_pictures, read_picture
from app.evaluation.records import figures_json
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
    """One picture and what became of it."""

    path: Path
    true_class: str | None
    """Its folder's name, where that is one of the model's classes."""
    prediction: Prediction | None
    error: LinesideError | None


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
    _make_room(out, with_overlays=with_overlays)  # before the work, not after it
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
    table = predictions_csv(scored, deployment.classes)
    # A file's name may be no UTF-8; its bytes are written as they are.
    write_outputs((out / TABLE, table.encode("utf-8", "surrogateescape")))
    console.print(f"wrote {out / TABLE}")
    labelled = [
        (deployment.classes.index(row.true_class), row.prediction.top.class_index)
        for row in scored
        if row.true_class is not None and row.prediction is not None
    ]
    failures = [row for row in scored if row.error is not None]
    if labelled:
        true, predicted = np.array(labelled, dtype=np.int64).T
        summary = figures(true, predicted, deployment.classes)
        _write_summary(out, summary, deployment, pictures=len(scored), failed=len(failures))
        console.print(f"wrote {out / SUMMARY}")
        Console(highlight=False).print(figures_tables(summary))
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
        # Enough at a time to fill the largest batch while the next one is decoded.
        room = asyncio.Semaphore(2 * max(deployment.batch_sizes))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("predicting", total=len(files))

            async def one(path: Path) -> Scored:
                async with room:
                    overlay = out / "overlays" / names[path] if with_overlays else None
                    row = await _score_one(service, deployment, path, settings, overlay)
                progress.advance(task)
                return row

            return list(await asyncio.gather(*(one(path) for path in files))), deployment
    finally:
        await wiring.close(timeout_s=settings.drain_timeout_s)


async def _score_one(
    service: Service, deployment: Deployment, path: Path, settings: Settings, overlay: Path | None
) -> Scored:
    """`overlay`: where it goes, but for the class that it shows."""
    folder = _folder_of(path)
    true_class = folder if folder in deployment.classes else None
    now = time.monotonic()
    identity = deployment.identity
    try:
        body = await asyncio.to_thread(read_picture, path, settings.max_body_bytes)
        with service.admission.admit(
            path.name, model=identity.name, version=identity.version, started=now, deadline=now + DEADLINE_S
        ) as ticket:
            style = None if overlay is None else DrawingStyle(max_side_px=settings.max_overlay_side_px)
            prediction = await service.predict(ticket, body, top_k=len(deployment.classes), style=style)
    except NotReady:
        raise  # the model's fault, not the picture's
    except LinesideError as error:
        return Scored(path, true_class, None, error)
    if overlay is not None and prediction.cam is not None:
        name = f"{overlay.name}-{_short(prediction.top.class_name)}.jpg"
        await asyncio.to_thread(write_outputs, (overlay.with_name(name), prediction.cam.data))
    return Scored(path, true_class, prediction, None)


def _make_room(out: Path, *, with_overlays: bool) -> None:
    folder = out / "overlays" if with_overlays else out
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = None if os.access(folder, os.W_OK | os.X_OK) else "not allowed"
    except OSError as error:
        reason = str(error.strerror)
    if reason is not None:
        raise InvalidRequest(
            f"the results cannot be written to {folder} ({reason}): choose another with --out"
        )
    for name in (TABLE, SUMMARY):
        check_output(out / name)


def overlay_names(files: Sequence[Path]) -> dict[Path, str]:
    """One for each picture and none twice: its folder and its name, with a number where others have the same."""
    names: dict[Path, str] = {}
    taken = set[str]()
    for path in files:
        plain = f"{_short(_folder_of(path))}-{_short(path.stem)}"
        name = next(name for name in _numbered(plain) if name not in taken)
        taken.add(name)
        names[path] = name
    return names


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}~{number}" for number in itertools.count(2))


def _short(text: str) -> str:
    """As one of three parts of a file's name, of 255 bytes at most."""
    return os.fsencode(text.replace("/", "_"))[:60].decode("utf-8", "ignore")


def _folder_of(path: Path) -> str:
    """The name of the folder that a picture lies in, also where the path is just a file's name."""
    return path.absolute().parent.name


def predictions_csv(scored: Sequence[Scored], classes: Sequence[str]) -> str:
    """One line a picture: what it is, what was predicted, every probability, or the error."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    probability_columns = [f"probability_{name}" for name in classes]
    writer.writerow(
        [
            "file",
            "true_class",
            "class",
            "probability",
            *probability_columns,
            "warnings",
            "error_code",
            "error",
        ]
    )
    for row in scored:
        true_class = row.true_class or ""
        if row.prediction is None:
            code, message = (row.error.code, row.error.message) if row.error else ("", "")
            blanks = [""] * (len(classes) + 3)
            writer.writerow([str(row.path), true_class, *blanks, code, message])
            continue
        top = row.prediction.top
        by_index = {score.class_index: score.probability for score in row.prediction.top_k}
        writer.writerow(
            [
                str(row.path),
                true_class,
                top.class_name,
                f"{top.probability:.6f}",
                *(f"{by_index[index]:.6f}" for index in range(len(classes))),
                "; ".join(row.prediction.warnings),
                "",
                "",
            ]
        )
    return text.getvalue()


def _write_summary(
    out: Path, summary: Figures, deployment: Deployment, *, pictures: int, failed: int
) -> None:
    identity = deployment.identity
    report = {
        "model": {"name": identity.name, "version": identity.version, "digest": identity.digest},
        "engine": {"device": deployment.engine.device, "precision": deployment.engine.precision},
        "pictures": pictures,
        "failed": failed,
        **figures_json(summary),
    }
    text = json.dumps(report, ensure_ascii=False, indent=2) + "\n"
    write_outputs((out / SUMMARY, text.encode("utf-8")))
