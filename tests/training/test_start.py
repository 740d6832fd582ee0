"""Where a network begins: what fits is taken, what does not is refused with the way out."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support.bundles import random_servable, write_random_bundle

from app.domain import NetworkSpec, Size
from app.errors import TrainingRefused
from app.nets.servable import Servable, servable_state
from app.training.start import begun

SPEC = NetworkSpec("cifar_resnet14", 4, Size(16, 16))


@pytest.fixture(scope="module")
def other() -> Servable:
    """Another network of the same architecture, with another number of classes."""
    return random_servable(NetworkSpec("cifar_resnet14", 7, Size(32, 32)), seed=3)


def assert_same_trunk(servable: Servable, other: Servable) -> None:
    theirs = other.trunk.state_dict()
    for name, tensor in servable.trunk.state_dict().items():
        assert name.endswith("num_batches_tracked") or torch.equal(tensor, theirs[name]), name


@pytest.mark.parametrize("form", ["safetensors", "pth", "training dictionary", "trunk only", "bundle"])
def test_the_trunk_of_a_file_is_taken(form: str, other: Servable, tmp_path: Path) -> None:
    path, state = tmp_path / "weights", servable_state(other)
    match form:
        case "safetensors":
            save_file(state, path)
        case "pth":
            torch.save(state, path)
        case "training dictionary":
            torch.save({"epoch": 3, "state_dict": {f"module.{n}": t for n, t in state.items()}}, path)
        case "trunk only":
            save_file({n: t for n, t in state.items() if not n.startswith("fc.")}, path)
        case "bundle":
            path = write_random_bundle(tmp_path, seed=3).folder
            other = random_servable(NetworkSpec("cifar_resnet14", 3, Size(48, 64)), seed=3)

    servable, origin = begun(SPEC, str(path), seed=0)

    assert_same_trunk(servable, other)
    assert servable.head.state_dict()["linear.weight"].shape == (4, 64)
    assert path.name in origin or "line/1" in origin


def test_nothing_is_said_loudly() -> None:
    assert "fresh weights" in begun(SPEC, "none", seed=0)[1]


def test_a_seed_decides_fresh_weights() -> None:
    first, again, third = (begun(SPEC, "none", seed=seed)[0].head.state_dict() for seed in (1, 1, 2))

    assert torch.equal(first["linear.weight"], again["linear.weight"])
    assert not torch.equal(first["linear.weight"], third["linear.weight"])


def test_a_file_of_another_architecture_is_named(other: Servable, tmp_path: Path) -> None:
    save_file(servable_state(other), tmp_path / "small.safetensors")

    with pytest.raises(TrainingRefused, match=r"that of cifar_resnet14, not of resnet18"):
        begun(NetworkSpec("resnet18", 2, Size(32, 32)), str(tmp_path / "small.safetensors"), seed=0)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("nowhere.pth", "neither imagenet or none nor a file"),
        ("text.pth", "text.pth"),
        ("half.safetensors", "half.safetensors"),
    ],
)
def test_what_cannot_be_begun_from_is_refused(
    start: str, words: str, other: Servable, tmp_path: Path
) -> None:
    (tmp_path / "text.pth").write_text("no weights", "utf-8")
    state = servable_state(other)
    save_file({n: t for n, t in state.items() if "layer3" not in n}, tmp_path / "half.safetensors")

    with pytest.raises(TrainingRefused, match=words):
        begun(SPEC, str(tmp_path / start), seed=0)


def test_an_architecture_without_pretrained_weights_says_so() -> None:
    with pytest.raises(TrainingRefused, match="no pretrained weights for cifar_resnet14"):
        begun(SPEC, "imagenet", seed=0)


def test_weights_that_cannot_be_fetched_name_the_way_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A proxy that nobody listens on stands for a machine without internet."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    with pytest.raises(TrainingRefused, match="--start FILE"):
        begun(NetworkSpec("resnet18", 2, Size(32, 32)), "imagenet", seed=0)


def test_an_input_that_is_too_small_is_refused() -> None:
    with pytest.raises(TrainingRefused, match="too small"):
        begun(NetworkSpec("alexnet", 2, Size(16, 16)), "none", seed=0)
