"""`python -m app.demo.pointing`: where the demo model's maps lie against the painted cue, per alignment.

A served bundle + 300 paintings that it was never trained on -> a table; `make pointing-game`
"""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file

from app.bundles.repository import open_bundle
from app.demo.evaluation import Place, evaluate
from app.demo.painted_set import TEST_SEEDS, one_class_each, paint_set
from app.nets.servable import load_servable

REQUIRED = 0.95
"""Share of the pictures whose map peaks on the cue."""


def main() -> int:
    """Measure and print; 1 when the maps do not point at the cue."""
    parser = argparse.ArgumentParser(prog="python -m app.demo.pointing", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("models/carcass-demo/1"))
    parser.add_argument("--count", type=int, default=len(TEST_SEEDS), help="pictures (300)")
    arguments = parser.parse_args()
    bundle = open_bundle(arguments.bundle)
    servable = load_servable(bundle.network_spec, load_file(bundle.weights_path))
    painted = paint_set(one_class_each(TEST_SEEDS[: arguments.count]), bundle.geometry)
    found = evaluate(servable, painted)
    table = Table(
        f"{len(painted.images)} painted pictures, accuracy {found.score().accuracy:.1%}", *found.places
    )
    rows = [summary(places) for places in found.places.values()]
    for name in rows[0]:
        table.add_row(name, *(row[name] for row in rows))
    Console(highlight=False, width=110).print(table)
    return int(found.score().pointing < REQUIRED)


def summary(places: tuple[Place, ...]) -> dict[str, str]:
    """What is printed for one alignment; pixels are those of the 768 x 574 painting."""
    peak, hottest = np.array([place.peak for place in places]), np.array([place.hottest for place in places])
    return {
        "peak inside the cue's mask (pointing game)": f"{np.mean([place.is_pointing for place in places]):.1%}",
        "positive evidence inside the mask": f"{np.mean([place.share_inside for place in places]):.1%}",
        "distance of the peak from the cue's middle": f"{np.hypot(*peak.T).mean():.1f} px",
        "  of that always the same way (x, y)": "{:+.1f}, {:+.1f} px".format(*peak.mean(axis=0)),
        "distance of the hot spot's centroid": f"{np.hypot(*hottest.T).mean():.1f} px",
        "  of that always the same way": "{:+.1f}, {:+.1f} px".format(*hottest.mean(axis=0)),
    }


if __name__ == "__main__":
    raise SystemExit(main())
