"""What every engine and precision answers to real photographs, beside torch in float32.

    python -m bench.agreement ../shared/data/carcass          # make bench-agreement
    python -m bench.agreement ../shared/data/carcass --engines torch cuda --results bench/results/agreement-cuda.json

Two networks: the demo model, whose weights are trained, and a ResNet-50 of random branches whose last layer is fitted to
painted carcasses. Each is proved as a server proves it, then asked every photograph through its own decoding and geometry.
Writes bench/results/agreement.json and, from it, bench/README.md.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.engines.openvino_engine import cpu_computes_bfloat16
from app.errors import BundleRefused
from app.explain.maps import softmax
from app.images.decode import decode
from app.images.preprocess import preprocess
from app.wiring import Machine, prove
from app.wiring.machine import cuda_device_count
from bench import machine, page
from bench.agreement_page import agreement_section
from bench.figures import Row
from bench.workload import NAME, Workload, last_words, painted, without_lineside

MAX_PIXELS = 50_000_000
KINDS = (
    ("torch", "float32"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
    ("openvino", "int8"),
    ("cuda", "float32"),
    ("cuda", "bfloat16"),
    ("cuda", "float16"),
)
DEMO = Path(__file__).resolve().parents[1] / "models" / "carcass-demo" / "1"
CALIBRATING = 24


def quantised(bundle: Path, images: Path, repository: Path) -> Path:
    """The int8 version that a user would make of it.

    Raises:
        BundleRefused: `lineside quantize` refused.
    """
    done = subprocess.run(
        [Path(sys.executable).parent / "lineside", "quantize", bundle, "--images", images,
         "--out", repository / bundle.parent.name / "2"],
        check=False, capture_output=True, text=True, env=without_lineside(),
    )  # fmt: skip
    if done.returncode:
        raise BundleRefused(last_words(done.stderr or done.stdout))
    return repository / bundle.parent.name / "2"


def answers(folder: Path, kind: tuple[str, str], photographs: list[bytes]) -> NDArray[np.float32]:
    """Logits of every photograph by every way that the engine may answer, (W, N, K)."""
    runtime, precision = kind
    here = Machine("cuda:0", "torch", precision) if runtime == "cuda" else Machine("cpu", runtime, precision)  # type: ignore[arg-type]
    proved = prove(folder, machine=here, batch_sizes=(1,), max_pixels=MAX_PIXELS)
    geometry = proved.bundle.geometry
    pictures = (
        decode(data, geometry=geometry, max_pixels=MAX_PIXELS, keeps_picture=False) for data in photographs
    )
    batches = [preprocess(picture, geometry.steps).pixels[np.newaxis] for picture in pictures]
    rows = [[way(batch).logits[0] for batch in batches] for way in proved.engine.ways]
    proved.engine.close()
    return np.array(rows)


def compared(
    bundle: Path, images: Path, photographs: list[bytes], work: Path, kinds: Sequence[tuple[str, str]]
) -> Iterator[Row]:
    """A row for each engine and precision."""
    (reference,) = answers(bundle, KINDS[0], photographs)
    expected = np.stack([softmax(row) for row in reference])
    for kind in kinds:
        row: dict[str, object] = {"engine": kind[0], "precision": kind[1], "photographs": len(photographs)}
        if kind == ("openvino", "bfloat16") and not cpu_computes_bfloat16():
            yield row | {"unavailable": "this CPU has no bfloat16 arithmetic"}
            continue
        if kind[0] == "cuda" and cuda_device_count() == 0:
            yield row | {"unavailable": "no CUDA device here"}
            continue
        try:
            folder = quantised(bundle, images, work) if kind[1] == "int8" else bundle
            logits = answers(folder, kind, photographs)
        except BundleRefused as error:
            yield row | {"unavailable": error.message}
            continue
        probabilities = np.apply_along_axis(softmax, -1, logits)
        yield row | {
            "ways": len(logits),
            "same_class": int((logits.argmax(-1) == reference.argmax(-1)).all(0).sum()),
            "largest_probability_difference": float(np.abs(probabilities - expected).max()),
            "largest_logit_difference": float(np.abs(logits - reference).max() / np.abs(reference).max()),
        }


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path, help="a folder of pictures, in folders or not")
    parser.add_argument(
        "--results", type=Path, default=page.RESULTS / "agreement.json", help="where the numbers go"
    )
    engines = sorted({engine for engine, _ in KINDS})
    parser.add_argument("--engines", nargs="+", choices=engines, default=engines, help="those asked")
    chosen = parser.parse_args()
    kinds = [kind for kind in KINDS if kind[0] in chosen.engines]
    files = sorted(path for path in chosen.photographs.rglob("*") if path.suffix.lower() in {".tif", ".jpg"})
    if not files:
        sys.exit(f"no photographs in {chosen.photographs}; the carcass ones are not part of the project")
    photographs = [file.read_bytes() for file in files]
    facts = machine.facts("bench.agreement")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "workload").mkdir()
        workload = Workload(work / "workload")
        images = work / "paintings"
        images.mkdir()
        for number, data in enumerate(painted(8_000_000, CALIBRATING)):
            (images / f"{number:03}.jpg").write_bytes(data)
        networks = {"carcass-demo": DEMO, "ResNet-50": workload.models / NAME / "1"}
        results = {
            "machine": facts,
            "minutes": 0.0,
            "networks": [
                {"name": name, "rows": list(compared(bundle, images, photographs, work / "int8", kinds))}
                for name, bundle in networks.items()
            ],
        }
    results["minutes"] = (time.monotonic() - began) / 60
    page.write(chosen.results, results)
    print(agreement_section(results))


if __name__ == "__main__":
    main()
