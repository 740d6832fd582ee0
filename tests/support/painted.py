"""The demo model and painted pictures of its kind, in folders of a test's own."""

import shutil
from pathlib import Path

from app.demo.painter import CLASSES, painted_file

MODELS = Path(__file__).parents[2] / "models"


def copy_demo(repository: Path) -> Path:
    """<repository>/carcass-demo/1/: trained, so that its answers are sure of themselves."""
    folder = repository / "carcass-demo" / "1"
    shutil.copytree(MODELS / "carcass-demo" / "1", folder)
    return folder


def paint_folder(folder: Path, *, each: int, first_seed: int = 5_000) -> Path:
    """`each` pictures in a folder for each class."""
    for class_name in CLASSES:
        (folder / class_name).mkdir(parents=True)
        for seed in range(first_seed, first_seed + each):
            (folder / class_name / f"{seed}.jpg").write_bytes(painted_file(class_name, seed))
    return folder
