"""Labels first, then what the network remembers: which evidence tells a declaration from the best."""

import numpy as np
import pytest
import torch
from torch import nn

from app.evaluation.statistics import BatchMemory
from app.evaluation.verdicts import Candidate, verdicts

COUNT = 40


@pytest.fixture(scope="module")
def memory() -> BatchMemory:
    """Of one batch normalisation that saw channels of mean 0 and variance 1."""
    return BatchMemory(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))


def candidate(log_probability: float, *, hits: float = 1.0, scale: float = 1.0) -> Candidate:
    """Forty pictures, each a little different; their channels are `scale` times training's."""
    rng = np.random.default_rng(1)
    means = scale * rng.normal(0, 0.1, (COUNT, 4))
    moments = np.stack([means, means**2 + scale**2 * rng.normal(1, 0.05, (COUNT, 4))], axis=1)
    return Candidate(
        (0, 1, 2),
        np.full(COUNT, log_probability) + rng.normal(0, 0.001, COUNT),
        (np.arange(COUNT) < hits * COUNT).astype(float),
        moments.astype(np.float32),
    )


def test_a_large_and_real_difference_is_the_labels(memory: BatchMemory) -> None:
    """0.5 nats in each of forty; 0.02 in each is real as well, but no more than 0.8 nats in all."""
    found = verdicts([candidate(-0.1), candidate(-0.6), candidate(-0.12)], memory, level=0.05)

    assert found == ["tie", "labels", "tie"]


def test_a_larger_scale_is_out_however_sure_the_network_is(memory: BatchMemory) -> None:
    found = verdicts([candidate(0.0, scale=255.0), candidate(-0.2)], memory, level=0.05)

    assert found == ["statistics", "tie"]


def test_labels_overrule_a_memory_of_another_task(memory: BatchMemory) -> None:
    """Batch normalisation frozen at other statistics: right in every picture, where the others guess."""
    found = verdicts([candidate(-0.1, scale=255.0), candidate(-1.5, hits=0.4)], memory, level=0.05)

    assert found == ["tie", "labels"]


def test_without_batch_normalisation_labels_decide_alone() -> None:
    nothing = BatchMemory(nn.Conv2d(3, 4, 1))

    assert nothing.is_empty
    assert verdicts([candidate(0.0), candidate(-0.5)], nothing, level=0.05) == ["tie", "labels"]


def test_moments_are_those_of_what_enters_the_normalisation() -> None:
    """And nothing listens afterwards."""
    network = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 1), nn.BatchNorm2d(5)
    ).eval()
    images = torch.randn(2, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    memory = BatchMemory(network)

    with torch.inference_mode(), memory.listening() as heard:
        network(images)
    with torch.inference_mode():
        network(images)
        first = network[0](images)
        second = network[2](network[1](first))

    [moments] = heard
    assert moments.shape == (2, 2, 9)
    for cells, found in ((first, moments[:, :, :4]), (second, moments[:, :, 4:])):
        np.testing.assert_allclose(found[:, 0], cells.mean((2, 3)).numpy(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found[:, 1], cells.square().mean((2, 3)).numpy(), rtol=1e-4, atol=1e-6)


def test_distance_is_zero_where_the_statistics_are_trainings(memory: BatchMemory) -> None:
    """And 0.5 (s - 1 - log s) where the variance is s times as large."""
    alike = np.tile(np.array([[0.0], [1.0]], np.float32), (3, 1, 4))
    wider = np.tile(np.array([[0.0], [4.0]], np.float32), (3, 1, 4))

    assert memory.distance(alike) == pytest.approx(0, abs=1e-6)
    assert memory.distance(wider) == pytest.approx(0.5 * (3 - np.log(4)))
