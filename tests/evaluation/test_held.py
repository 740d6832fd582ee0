"""Pictures are decoded once, within a bound of memory, and what was answered is not asked again."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Lock

import numpy as np
import pytest
from support.bundles import random_servable
from support.pictures import damaged_file, picture_file

from app.domain import Geometry, NetworkSpec, Normalisation, Resize, Size
from app.engines.torch_engine import TorchEngine
from app.evaluation.declarations import Declaration
from app.evaluation.held import Witness, hold
from app.evaluation.labelled import LabelledItem
from app.evaluation.likelihood import log_probabilities
from app.evaluation.predictions import Limits
from app.images.preprocess import preprocess
from app.nets.servable import build_servable

LIMITS = Limits(max_bytes=2**20, max_pixels=10**6)
SIZE = Size(24, 32)
PLAIN = Declaration((Resize(SIZE, "bilinear"),), Normalisation())


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledItem]:
    """Six of 160 x 120, the second of which is damaged."""
    folder = tmp_path_factory.mktemp("pictures")
    found = []
    for number in range(6):
        path: Path = folder / f"{number}.png"
        path.write_bytes(damaged_file() if number == 1 else picture_file(number, "PNG"))
        found.append(LabelledItem(path, number % 3))
    return found


def test_memory_is_bounded_and_what_is_left_out_is_counted(items: list[LabelledItem]) -> None:
    one = 160 * 120 * 4

    some = hold(items, Geometry(PLAIN.steps), LIMITS, max_held_bytes=2 * one)
    everything = hold(items, Geometry(PLAIN.steps), LIMITS)

    assert (len(some.pictures), some.left_out, some.true.tolist()) == (2, 3, [0, 2])
    assert (len(everything.pictures), everything.left_out) == (5, 0)
    assert [failure.item for failure in everything.failures] == [items[1]]


def test_answers_are_those_of_a_network_built_for_the_declaration(items: list[LabelledItem]) -> None:
    """Another normalisation and another input size, weights shared; asking again costs nothing."""
    held = hold(items, Geometry(PLAIN.steps), LIMITS)
    spec = NetworkSpec("cifar_resnet14", 3, SIZE)
    servable = random_servable(spec, seed=3)
    other = Declaration(
        (Resize(Size(40, 28), "nearest"),), Normalisation("BGR", 1 / 128, (0.1, 0.2, 0.3), (1.1, 1.2, 1.3))
    )
    with ThreadPoolExecutor(2) as pool:
        witness = Witness(servable, held, "cpu", pool)
        witness.ask([PLAIN, other], 3, lambda _count: None)
        witness.ask([PLAIN, other], 5, lambda _count: None)
        passes = witness.passes
        witness.ask([PLAIN, other, replace(PLAIN)], 5, lambda _count: None)

    assert passes == witness.passes == 10
    for declaration in (PLAIN, other):
        alone = build_servable(
            replace(spec, normalisation=declaration.normalisation, input_size=declaration.input_size)
        )
        alone.load_state_dict(servable.state_dict())
        engine = TorchEngine(alone.eval(), "cpu", lock=Lock())
        pixels = [preprocess(picture, declaration.steps).pixels for picture in held.pictures]
        expected = log_probabilities(engine.run(np.stack(pixels)).logits)
        np.testing.assert_allclose(witness.log_probabilities(declaration, 5), expected, atol=1e-4)
        assert witness.moments(declaration, 5).shape == (5, 2, len(witness.memory.mean))
