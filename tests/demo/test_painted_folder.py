"""The folder that the demo model is trained on: scenes are groups, and a killed run is finished by the next."""

import hashlib
import re
from pathlib import Path

from app.demo.painted_folder import (
    GOLDEN_SEEDS,
    TRAINING_SEEDS,
    VALIDATION_SEEDS,
    paint_folder,
    painted_files,
)
from app.demo.painted_set import TEST_SEEDS
from app.demo.painter import CLASSES, painted_file
from app.training.configuration import read_configuration

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "examples" / "painted.toml"


def some(count: int) -> dict[str, tuple[str, int]]:
    return dict(list(painted_files().items())[:count])


def test_every_scene_is_trained_on_in_every_class_and_is_one_group() -> None:
    """Otherwise the scene could give the class away."""
    expression = re.compile(read_configuration(CONFIG.read_bytes(), {}, name="").data.group_by)
    scenes: dict[str, list[str]] = {}
    for name, (class_name, _) in painted_files().items():
        if name.startswith("train/"):
            found = expression.search(name)
            assert found is not None
            scenes.setdefault(found.group(1), []).append(class_name)

    assert len(scenes) == len(TRAINING_SEEDS)
    assert all(classes == list(CLASSES) for classes in scenes.values())


def test_a_file_is_in_the_folder_of_what_it_shows() -> None:
    assert all(name.split("/")[1] == class_name for name, (class_name, _) in painted_files().items())


def test_no_seed_serves_two_purposes() -> None:
    """What measures was not trained on, and what is shown was neither."""
    purposes = [TRAINING_SEEDS, VALIDATION_SEEDS, TEST_SEEDS, *GOLDEN_SEEDS.values()]
    seeds = [seed for purpose in purposes for seed in purpose]

    assert len(seeds) == len(set(seeds))


def test_the_configuration_names_the_golden_paintings() -> None:
    named = read_configuration(CONFIG.read_bytes(), {}, name="").outputs.golden

    golden_seeds = [seed for class_name in CLASSES for seed in GOLDEN_SEEDS[class_name]]
    assert [painted_files()[name][1] for name in named] == golden_seeds


def test_an_interrupted_painting_is_finished_and_nothing_is_painted_twice(tmp_path: Path) -> None:
    wanted = some(4)
    list(paint_folder(tmp_path, dict(list(wanted.items())[:2])))
    first = next(iter(wanted))
    (tmp_path / first).write_bytes(b"mine")

    done = list(paint_folder(tmp_path, wanted, workers=1))

    assert done == [2, 3, 4]
    assert (tmp_path / first).read_bytes() == b"mine"
    others = [name for name in wanted if name != first]
    digests = {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in others}
    assert digests == {name: hashlib.sha256(painted_file(*wanted[name])).hexdigest() for name in others}
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name.startswith(".")]
