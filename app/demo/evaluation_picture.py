"""`python -m app.demo.evaluation_picture`: the picture of an evaluation in the docs; needs Chromium.

paintings -> FOLDER, a copy of the demo model whose preprocessing is spoilt -> the report -> browser -> docs/img/evaluation.webp

The demo model itself makes no mistake on paintings, and a report without one shows nothing.
"""

from pathlib import Path
from typing import Final

from app.bundles.manifest import Manifest
from app.bundles.repository import open_bundle
from app.bundles.writer import write_bundle
from app.demo.painter import CLASSES, painted_file
from app.demo.report_picture import picture_program
from app.evaluation.audit import audit_folder
from app.evaluation.evaluate import Options, evaluate
from app.evaluation.evaluated import Evaluation
from app.evaluation.labelled import read_labelled
from app.evaluation.predictions import Limits
from app.reports.evaluation_page import evaluation_page
from app.wiring import Machine, prove

SEEDS: Final = range(1_000_000, 1_000_096)
"""Of paintings that the model was never trained on."""
SPOILT_SCALE: Final = 1 / 330
"""In place of 1/255: every picture is darker than any that was trained on."""
TEMPERATURE: Final = 1.25
REGION: Final = (0.4, 0.5, 0.75, 0.95)
"""Where the far ham hangs, in fractions of the picture."""
OPTIONS: Final = Options(
    Limits(10**7, 10**7), batch_sizes=(1, 2, 4), threads=2, max_damaged=0.0, mistakes=6, painted=30
)


def spoilt_copy(folder: Path, to: Path) -> Path:
    """The same weights with another resampling and scale, a temperature and a region of interest."""
    bundle = open_bundle(folder)
    table = bundle.manifest.model_dump(exclude_none=True)
    for step in table["preprocess"]["steps"]:
        step["interpolation"] = "nearest"
    table["preprocess"]["scale"] = SPOILT_SCALE
    table["calibration"] = {"temperature": TEMPERATURE}
    table["evidence"] = {"region_of_interest": list(REGION)}
    copy = to / "spoilt-copy" / "1"
    data = bundle.weights_path.read_bytes()
    write_bundle(
        copy, manifest=Manifest.model_validate(table), write_weights=lambda path: path.write_bytes(data)
    )
    return copy


def page_of(bundle: Path, work: Path) -> bytes:
    """The report on the paintings."""
    folder = work / "painted carcasses"
    for seed in SEEDS:
        true = CLASSES[seed % len(CLASSES)]
        (folder / true).mkdir(parents=True, exist_ok=True)
        (folder / true / f"{seed}.jpg").write_bytes(painted_file(true, seed))
    proved = prove(
        spoilt_copy(bundle, work / "models"),
        machine=Machine.reference(),
        batch_sizes=OPTIONS.batch_sizes,
        max_pixels=OPTIONS.limits.max_pixels,
    )
    items = read_labelled(folder, CLASSES).items
    audit, facts, _ = audit_folder(items, folder, CLASSES, limits=OPTIONS.limits, threads=OPTIONS.threads)
    try:
        subject, audit = evaluate(
            proved.bundle, proved.engine, items, facts, audit, OPTIONS, lambda *_: None, warnings=()
        )
    finally:
        proved.engine.close()
    return evaluation_page(Evaluation(folder=folder.name, subjects=(subject,), audits=(audit,)), "en")


if __name__ == "__main__":
    picture_program("evaluation", page_of, __doc__)
