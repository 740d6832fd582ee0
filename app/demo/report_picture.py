"""`python -m app.demo.report_picture`: the picture of a report in the docs; needs Chromium.

paintings -> FOLDER, the demo model and a disturbed copy of it -> the report -> browser -> docs/img/report.webp

Beside it, app/demo/showcase.py draws the docs' other pictures; they need no browser.
"""

import argparse
import io
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from app.bundles.repository import open_bundle
from app.bundles.writer import write_bundle
from app.demo.browser import CHROMIUM, with_own_fonts
from app.demo.painter import CLASSES, painted_file
from app.evaluation.predictions import Limits
from app.reports.asked import asked
from app.reports.closer import Shown, look_closer
from app.reports.explanations import Explanations
from app.reports.explanations_page import explanations_page
from app.reports.survey import Item, Reading, survey
from app.reports.words import WORDS
from app.wiring import Machine, prove

SEEDS: Final = range(1_000_000, 1_000_018)
"""Of paintings that the model was never trained on."""
NOISE: Final = 0.37
"""Standard deviations of each layer that are added to the copy's weights: it still works, and makes a mistake."""
READING: Final = Reading(Limits(10**7, 10**7), threads=2, batch_sizes=(1, 2, 4))
SIZE_PX: Final = (1180, 2640)
"""The beginning of the report, down to its first picture."""
SHOWN_WIDTH_PX: Final = 720


def disturbed_copy(folder: Path, to: Path) -> Path:
    """A bundle of the same network with noise on its weights."""
    bundle = open_bundle(folder)
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: values + NOISE * values.std() * torch.randn(values.shape, generator=generator)
        if values.ndim == 4
        else values
        for name, values in load_file(bundle.weights_path).items()
    }
    copy = to / "disturbed-copy" / "1"
    write_bundle(copy, manifest=bundle.manifest, write_weights=lambda path: save_file(weights, path))
    return copy


def report_page(bundle: Path, work: Path) -> bytes:
    """The report on a few paintings, of the model and its disturbed copy."""
    items = []
    for seed in SEEDS:
        true = seed % len(CLASSES)
        path = work / CLASSES[true] / f"{CLASSES[true]}-{seed}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(painted_file(CLASSES[true], seed))
        items.append(Item(path, true))
    machine = Machine.reference()
    models = tuple(
        asked(
            prove(
                folder,
                machine=machine,
                batch_sizes=READING.batch_sizes,
                max_pixels=READING.limits.max_pixels,
            )
        )
        for folder in (bundle, disturbed_copy(bundle, work / "models"))
    )
    found = survey(models, CLASSES, items, READING)
    shown = [each for each in look_closer(models, found.chosen(6), READING, "en") if isinstance(each, Shown)]
    return explanations_page(
        Explanations(
            folder="painted carcasses",
            made=datetime.now(UTC),
            models=models,
            survey=found,
            shown=tuple(shown),
            layers=None,
            numbers_file="explanations.json",
        ),
        WORDS["en"],
    )


def photographed(page: Path) -> bytes:
    """The beginning of a page as WebP."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - of the development tools, not of the package

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], env=with_own_fonts(page.parent)
        )
        view = browser.new_page(viewport={"width": SIZE_PX[0], "height": SIZE_PX[1]})
        view.goto(page.as_uri())
        data = view.screenshot()
        browser.close()
    with Image.open(io.BytesIO(data)) as image:
        height = round(image.height * SHOWN_WIDTH_PX / image.width)
        small = image.convert("RGB").resize((SHOWN_WIDTH_PX, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=55, method=6)
    return buffer.getvalue()


def picture_program(name: str, page_of: Callable[[Path, Path], bytes], about: str | None) -> None:
    """Make a report of a bundle in a folder of its own, open it, write its picture: docs/img/NAME.webp."""
    parser = argparse.ArgumentParser(prog=f"python -m app.demo.{name}_picture", description=about)
    parser.add_argument("--bundle", type=Path, default=Path("models/carcass-demo/1"))
    parser.add_argument("--to", type=Path, default=Path("docs/img"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / f"{name}.html"
        page.write_bytes(page_of(given.bundle.absolute(), Path(folder)))
        (given.to / f"{name}.webp").write_bytes(photographed(page))


if __name__ == "__main__":
    picture_program("report", report_page, __doc__)
