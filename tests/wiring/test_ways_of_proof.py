"""A model proves itself by every way on which it may answer."""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.bundles import random_servable, write_random_bundle
from support.pictures import picture_file

from app.domain import LinearHead, NetworkSpec, Normalisation, Size
from app.engines.base import Engine, EngineOutput, Run, warm_up
from app.engines.beside import EngineWithProber
from app.engines.torch_engine import TorchEngine
from app.errors import ShuttingDown
from app.wiring import Machine, proof, prove
from app.wiring.proof import golden_report

GOLDEN = {"a.jpg": picture_file(1), "b.png": picture_file(2, "PNG")}


class TwoWays:
    """A real engine with another way beside its own, which answers as the test says."""

    def __init__(self, engine: Engine, factor: float) -> None:
        self._engine = engine
        self._factor = np.float32(factor)
        self.taken: list[int] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    @property
    def ways(self) -> tuple[Run, ...]:
        return (self._engine.run, self._other)

    def _other(self, images: NDArray[np.uint8]) -> EngineOutput:
        self.taken.append(len(images))
        output = self._engine.run(images)
        return EngineOutput(output.logits * self._factor, output.evidence)


def test_golden_images_are_asked_every_way_and_the_worst_one_counts(tmp_path: Path) -> None:
    bundle = write_random_bundle(tmp_path, golden=GOLDEN)
    engine = prove(bundle.folder, machine=Machine.reference(), batch_sizes=(1,), max_pixels=10**7).engine

    for factor, holds in ((1.0, True), (-1.0, False)):
        doubled: Engine = TwoWays(engine, factor)  # type: ignore[assignment]
        report = golden_report(bundle, doubled, max_pixels=10**7)
        assert report is not None
        assert report.holds is holds


@pytest.mark.parametrize("last", ["golden", "warm-up"])
def test_proof_ends_between_its_steps_where_the_server_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    """Each takes a second and more of a large network on a small box, and whoever stops the server waits."""
    bundle, machine = write_random_bundle(tmp_path, golden=GOLDEN), Machine.reference()
    done: list[str] = []

    def step(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def worked(*args: Any, **options: Any) -> Any:
            done.append(name)
            if name == last:
                machine.stopping.set()
            return work(*args, **options)

        return worked

    monkeypatch.setattr(proof, "golden_report", step("golden", golden_report))
    monkeypatch.setattr(proof, "warm_up", step("warm-up", warm_up))
    with pytest.raises(ShuttingDown):
        prove(bundle.folder, machine=machine, batch_sizes=(1, 2), max_pixels=10**7)

    assert done == ["golden", "warm-up"][: 1 + (last == "warm-up")]


def test_only_sizes_that_are_computed_at_a_time_are_warmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = write_random_bundle(tmp_path)
    monkeypatch.setattr(TorchEngine, "largest_batch", 2)

    proved = prove(bundle.folder, machine=Machine.reference(), batch_sizes=(4, 1), max_pixels=10**7)

    assert list(proved.proof.latency_s) == [1, 2]


def test_every_way_is_warmed_at_every_size() -> None:
    """The first pass of a way lays out its weights, which would keep a request waiting for seconds."""
    spec = NetworkSpec("cifar_resnet14", 3, Size(32, 32), LinearHead(), Normalisation())
    servable = random_servable(spec, seed=0)
    engine = TorchEngine(servable, "cpu", lock=Lock())
    doubled = TwoWays(engine, 1.0)
    beside = EngineWithProber(doubled, servable.facts(), lambda: engine)  # type: ignore[arg-type]

    seconds = warm_up(beside, (1, 3))

    assert doubled.taken == [1, 3]
    assert sorted(seconds) == [1, 3]
