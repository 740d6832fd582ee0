"""How the configurations take turns."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.bundles import write_random_bundle
from support.pictures import damaged_file, picture_file

from app.domain import Geometry, Resize, Size
from app.engines.base import EngineOutput
from app.errors import UnreadableImage
from app.tuning.configurations import Configuration
from app.tuning.measuring import Contender, kinds, measure
from app.wiring import Machine

SIZES = (1, 2, 4)
GEOMETRY = Geometry((Resize(Size(8, 8), "nearest"),))


class Diary:
    """An engine that answers at once and writes down who was asked for how many."""

    input_size = Size(8, 8)

    def __init__(self, name: str, pages: list[tuple[str, int]]) -> None:
        self._name = name
        self._pages = pages

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        self._pages.append((self._name, len(images)))
        return EngineOutput(
            np.zeros((len(images), 2), np.float32), np.zeros((len(images), 2, 1, 1), np.float32)
        )


def contender(threads: int, pages: list[tuple[str, int]]) -> Contender:
    engine: Any = Diary(str(threads), pages)
    return Contender(Configuration("openvino", "float32", threads), engine, "cpu", None, 0.0)


def test_every_figure_is_measured_even_when_no_time_is_left() -> None:
    """Once; before the timed passes of a visit goes one that is not timed."""
    pages: list[tuple[str, int]] = []
    stages: list[float] = []

    rows, costs = measure(
        [contender(1, pages), contender(2, pages)],
        [picture_file(1), picture_file(2)],
        GEOMETRY,
        batch_sizes=(4, 1, 2),
        max_pixels=10**6,
        seconds=1e-9,
        tell=lambda _, share: stages.append(share),
    )

    assert Counter(pages) == {(name, size): 2 if size == 1 else 1 for name in "12" for size in SIZES}
    assert [row.configuration.threads for row in rows] == [1, 2]
    for row in rows:
        assert list(row.timings) == [1, 2, 4]
        assert all(len(timing.wall_s) == len(timing.cpu_s) == 1 for timing in row.timings.values())
        assert row.timings[1].spread is None
    assert costs.pictures == 2
    assert len(costs.decode.wall_s) == len(costs.geometry.cpu_s) == 1
    assert len(stages) == 3
    assert all(0 <= share <= 1 for share in stages)


def test_nobody_is_visited_again_before_all_others_were() -> None:
    """So a machine that slows down for a while slows all alike."""
    pages: list[tuple[str, int]] = []
    names = ["1", "2", "3", "4"]

    rows, _ = measure(
        [contender(int(name), pages) for name in names],
        [picture_file(1)],
        GEOMETRY,
        batch_sizes=SIZES,
        max_pixels=10**6,
        seconds=0.2,
        tell=lambda *_: None,
    )

    visits = [name for name, size in pages if size == max(SIZES)]
    rounds = [visits[at : at + len(names)] for at in range(0, len(visits), len(names))]
    assert len(rounds) > 2
    assert all(sorted(each) == names for each in rounds[:-1])
    assert len(set(rounds[-1])) == len(rounds[-1])
    assert len({tuple(each) for each in rounds[:-1]}) > 1
    assert {len(timing.wall_s) for row in rows for timing in row.timings.values()} <= {
        len(rounds) - 1,
        len(rounds),
    }


def test_damaged_picture_is_an_error_not_a_quick_one() -> None:
    with pytest.raises(UnreadableImage):
        measure(
            [contender(1, [])],
            [damaged_file()],
            GEOMETRY,
            batch_sizes=(1,),
            max_pixels=10**6,
            seconds=0.1,
            tell=lambda *_: None,
        )


def test_kinds_are_what_machine_and_bundle_have(tmp_path: Path) -> None:
    """A GPU has torch alone; what the CPU or the bundle lacks is said."""
    bundle = write_random_bundle(tmp_path)

    cpu, notes = kinds(bundle, Machine("cpu"))
    gpu, silent = kinds(bundle, Machine("cuda:0"))

    assert {("openvino", "float32"), ("torch", "float32")} <= set(cpu)
    assert not any(precision == "int8" for _, precision in (*cpu, *gpu))
    assert ("openvino", "bfloat16") in cpu or any(note.startswith("openvino bfloat16:") for note in notes)
    assert any("lineside quantize line" in note for note in notes)
    assert {runtime for runtime, _ in gpu} == {"torch"}
    assert silent == []
