"""Promises of the OpenVINO engine, against torch on the same weights."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import numpy as np
import pytest
import torch
from support.bundles import random_servable

from app.domain import (
    ConvCamHead,
    HeadSpec,
    LinearHead,
    MlpHead,
    NetworkSpec,
    Normalisation,
    Probe,
    Size,
    Target,
)
from app.engines.base import PROBE_METHODS, Engine, ProbingEngine
from app.engines.beside import EngineWithProber
from app.engines.openvino_engine import OpenVinoEngine, openvino
from app.engines.torch_engine import TorchEngine
from app.engines.turns import Turns
from app.errors import ExportFailed
from app.exporting.export import converted
from app.nets.maps import FORMULAS
from app.nets.servable import Servable, noise_images

SIZE = Size(32, 40)
HEADS: list[HeadSpec] = [LinearHead(), MlpHead((16,)), ConvCamHead()]


def servable_of(head: HeadSpec) -> Servable:
    normalisation = Normalisation(channels="BGR", mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
    servable = random_servable(NetworkSpec("cifar_resnet14", 3, SIZE, head, normalisation), seed=3)
    return servable.requires_grad_(requires_grad=False)


def engine_of(
    servable: Servable,
    folder: Path,
    *,
    precision: str = "float32",
    threads: int = 2,
    turns: Turns | None = None,
) -> OpenVinoEngine:
    graph = folder / "float32.xml"
    openvino().save_model(converted(servable), graph, compress_to_fp16=False)
    return OpenVinoEngine(
        graph, servable.facts(), precision=precision, threads=threads, turns=turns or Turns()
    )


def halved_engine_of(servable: Servable, folder: Path, turns: Turns | None = None) -> OpenVinoEngine:
    """Nothing in it is quantised, so it computes in float32; but it is divided as an int8 one is."""
    return engine_of(servable, folder, precision="int8", turns=turns)


class WatchedTurns(Turns):
    """Counts who is inside."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = self.most = self.seconds = 0
        self._counting = threading.Lock()

    @contextmanager
    def beside(self, engine: object, others: int) -> Iterator[bool]:
        with super().beside(engine, others) as is_first:
            with self._counting:
                self.inside += 1
                self.most = max(self.most, self.inside)
                self.seconds += not is_first
            try:
                yield is_first
            finally:
                with self._counting:
                    self.inside -= 1


def noise(count: int, seed: int = 0) -> np.ndarray:
    return noise_images(SIZE, count, seed=seed).numpy()


def close_to(ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> bool:
    return bool(np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max())


@pytest.mark.parametrize("head", HEADS, ids=str)
def test_it_answers_as_torch_does_whatever_the_batch(head: HeadSpec, tmp_path: Path) -> None:
    """8-bit pixels in, normalised inside; logits and evidence within float32 rounding, one graph for every size."""
    servable = servable_of(head)
    engine: Engine = engine_of(servable, tmp_path)

    for count in (1, 3, 8, 2):
        images = noise(count, seed=count)
        with torch.inference_mode():
            logits, evidence = (tensor.numpy() for tensor in servable(torch.from_numpy(images)))
        output = engine.run(images)

        assert output.logits.shape == (count, 3)
        assert output.logits.dtype == output.evidence.dtype == np.float32
        assert close_to(output.logits, logits, 1e-5)
        assert close_to(output.evidence, evidence, 1e-5)


def test_it_tells_what_torch_tells_of_the_network(tmp_path: Path) -> None:
    """Every fact that the API shows or that places a map on the picture."""
    servable = servable_of(ConvCamHead())
    ours: Engine = engine_of(servable, tmp_path)
    torchs: Engine = TorchEngine(servable, "cpu", lock=Lock())

    for fact in (
        "device", "precision", "input_size", "class_count", "evidence_kind", "evidence_methods", "margin_cells",
        "target_layer", "cells",
    ):  # fmt: skip
        assert getattr(ours, fact) == getattr(torchs, fact), fact
    assert (ours.runtime, torchs.runtime) == ("openvino", "torch")
    assert not isinstance(ours, ProbingEngine)


def test_eight_threads_get_what_one_gets_and_later_batches_change_nothing(tmp_path: Path) -> None:
    """Bit for bit: answers are arrays of the caller's own."""
    engine = engine_of(servable_of(LinearHead()), tmp_path)
    alone = [engine.run(noise(2, seed)) for seed in range(8)]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda seed: engine.run(noise(2, seed % 8)), range(64)))

    for seed, output in enumerate(together):
        assert np.array_equal(output.logits, alone[seed % 8].logits)
        assert np.array_equal(output.evidence, alone[seed % 8].evidence)


def test_every_way_of_a_halved_engine_answers_as_torch_does(tmp_path: Path) -> None:
    servable = servable_of(LinearHead())
    engine = halved_engine_of(servable, tmp_path)

    assert len(engine.ways) == 3  # on all cores, and on each half
    assert engine.largest_batch == 4
    for count in (1, 3, 4, 5, 9):
        images = noise(count, seed=count)
        with torch.inference_mode():
            logits, evidence = (tensor.numpy() for tensor in servable(torch.from_numpy(images)))
        for way in engine.ways:
            output = way(images)
            assert close_to(output.logits, logits, 1e-5)
            assert close_to(output.evidence, evidence, 1e-5)


def test_two_calls_compute_in_a_halved_engine_and_a_third_is_ready_and_every_caller_gets_its_own(
    tmp_path: Path,
) -> None:
    turns = WatchedTurns()
    engine = halved_engine_of(servable_of(LinearHead()), tmp_path, turns)
    alone = [engine.run(noise(2, seed)) for seed in range(8)]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda seed: engine.run(noise(2, seed % 8)), range(64)))

    assert turns.most == engine.batches_in_flight == 3
    assert turns.seconds > 0
    for seed, output in enumerate(together):
        assert close_to(output.logits, alone[seed % 8].logits, 1e-5)
        assert close_to(output.evidence, alone[seed % 8].evidence, 1e-5)


@pytest.mark.parametrize(("precision", "threads"), [("float32", 2), ("int8", 1)])
def test_an_engine_is_whole_where_halves_cost_too_much_or_are_none(
    precision: str, threads: int, tmp_path: Path
) -> None:
    engine = engine_of(servable_of(LinearHead()), tmp_path, precision=precision, threads=threads)

    assert (engine.batches_in_flight, len(engine.ways), engine.largest_batch) == (1, 1, None)


def test_arrays_of_another_size_or_type_are_refused_and_odd_strides_are_taken(tmp_path: Path) -> None:
    engine = engine_of(servable_of(LinearHead()), tmp_path)
    images = noise(2)
    flipped = images[:, :, ::-1].copy()[:, :, ::-1]

    assert np.array_equal(engine.run(flipped).logits, engine.run(images).logits)
    with pytest.raises(ValueError, match="expected"):
        engine.run(images[:, 1:])
    with pytest.raises(ValueError, match="expected"):
        engine.run(images.astype(np.float32))  # type: ignore[arg-type]


def test_closed_engine_says_so_and_may_be_closed_twice(tmp_path: Path) -> None:
    for make in (engine_of, halved_engine_of):
        engine = make(servable_of(LinearHead()), tmp_path)
        a_way = engine.ways[-1]

        engine.close()
        engine.close()

        with pytest.raises(RuntimeError, match="closed"):
            engine.run(noise(1))
        with pytest.raises(RuntimeError, match="closed"):
            a_way(noise(1))


def test_damaged_graph_is_one_clear_refusal(tmp_path: Path) -> None:
    servable = servable_of(LinearHead())
    (tmp_path / "float32.xml").write_text("<net>nothing")
    (tmp_path / "float32.bin").write_bytes(b"")

    with pytest.raises(ExportFailed, match=r"float32\.xml"):
        OpenVinoEngine(
            tmp_path / "float32.xml", servable.facts(), precision="float32", threads=1, turns=Turns()
        )


def test_nothing_is_reported_to_anybody_and_torch_stays_out() -> None:
    """openvino's import sends an event to its maker where its telemetry package is there."""
    code = (
        "import sys; from app.engines.openvino_engine import openvino; openvino().Core();"
        "bad = [m for m in sys.modules if m.split('.')[0] in {'openvino_telemetry', 'torch'} and sys.modules[m]];"
        "sys.exit(str(bad) if bad else 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr


# --- with torch beside it ----------------------------------------------------------------------


def beside(servable: Servable, folder: Path) -> tuple[EngineWithProber, list[str]]:
    """And on which threads its prober was loaded."""
    loaded: list[str] = []

    def load() -> ProbingEngine:
        loaded.append(threading.current_thread().name)
        return TorchEngine(servable, "cpu", lock=Lock())

    return EngineWithProber(engine_of(servable, folder), servable.facts(), load), loaded


def test_predictions_load_nothing_and_the_first_probe_loads_once(tmp_path: Path) -> None:
    engine, loaded = beside(servable_of(LinearHead()), tmp_path)

    engine.run(noise(2))
    assert loaded == []
    assert not engine.is_prepared
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: engine.prepare(), range(8)))
    engine.probe(noise(1), [Probe(layers=("layer2",))])

    assert len(loaded) == 1
    assert engine.is_prepared
    assert isinstance(engine, ProbingEngine)
    assert engine.layers == servable_of(LinearHead()).layers


def test_probe_has_the_fast_engines_prediction_and_torchs_maps_of_that_class(tmp_path: Path) -> None:
    """/predict and /explain never disagree."""
    servable = servable_of(LinearHead())
    engine, _ = beside(servable, tmp_path)
    images = noise(3)
    plain = engine.run(images)

    output = engine.probe(images, [Probe(layers=("layer2",))] * 3)

    assert np.array_equal(output.logits, plain.logits)
    assert np.array_equal(output.evidence, plain.evidence)
    named = [Probe(Target(int(row.argmax())), layers=("layer2",)) for row in plain.logits]
    expected = TorchEngine(servable, "cpu", lock=Lock()).probe(images, named)
    for ours, theirs in zip(output.answers, expected.answers, strict=True):
        assert np.array_equal(ours.maps[0], theirs.maps[0])


def test_closing_closes_both_and_nothing_is_loaded_afterwards(tmp_path: Path) -> None:
    engine, loaded = beside(servable_of(LinearHead()), tmp_path)

    engine.close()

    with pytest.raises(RuntimeError, match="closed"):
        engine.prepare()
    assert loaded == []


def test_methods_that_are_offered_without_torch_are_those_that_torch_has() -> None:
    assert tuple(FORMULAS) == PROBE_METHODS
