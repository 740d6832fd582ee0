"""Promises of the importer for files that PyTorch wrote: what the script predicted is what is served."""

import argparse
import pathlib
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from support.bundles import random_servable
from support.foreign import (
    CLASSES,
    check_parity,
    do_import,
    notes_of,
    options_of,
    predicted,
    refusal,
    tutorial_network,
)
from support.parity import RecordParity
from torch import nn
from torchvision import transforms
from torchvision.models import resnet

from app.domain import NetworkSpec, Size
from app.nets.servable import servable_state


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return tutorial_network()


def save_legacy(value: object, path: Path) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=False)


def save_safetensors(value: dict[str, torch.Tensor], path: Path) -> None:
    safetensors.torch.save_file(value, path)


STATE_DICTS = {
    torch.save: "state dict, zip",
    save_legacy: "state dict, older pickle",
    save_safetensors: "state dict, safetensors",
}


@pytest.mark.parametrize("save", STATE_DICTS)
def test_a_state_dict_predicts_as_its_script(
    save: Callable[..., None], network: nn.Module, tmp_path: Path, record_parity: RecordParity
) -> None:
    save(network.state_dict(), tmp_path / "best.pth")

    report = do_import(tmp_path / "best.pth", tmp_path / "models" / "line")

    check_parity(report, predicted(network), record_parity, STATE_DICTS[save])
    assert (tmp_path / "models" / "line" / "1" / "golden" / "golden.json").is_file()


@pytest.mark.parametrize("save", [torch.save, pytest.param(save_legacy, marks=pytest.mark.slow)])
def test_a_training_dictionary_gives_its_averaged_weights_and_says_so(
    save: Callable[..., None], network: nn.Module, tmp_path: Path, record_parity: RecordParity
) -> None:
    live = tutorial_network(seed=1)
    optimiser = torch.optim.SGD(live.parameters(), lr=0.1, momentum=0.9)
    content = {
        "epoch": 12,
        "model": live.state_dict(),
        "ema": {"module": network.state_dict(), "decay": 0.999},
        "optimizer": optimiser.state_dict(),
        "args": argparse.Namespace(lr=0.1, output=pathlib.Path("runs")),
        "class_to_idx": {"female": 2, "castrate": 0, "boar": 1},
    }
    save(content, tmp_path / "last.pth")

    report = do_import(tmp_path / "last.pth", tmp_path / "line", classes=None)
    other = do_import(tmp_path / "last.pth", tmp_path / "line", classes=None, take="model")

    check_parity(report, predicted(network), record_parity, "training dictionary with EMA")
    check_parity(other, predicted(live), record_parity, "the same, its live weights")
    assert report.classes == CLASSES
    assert "'ema.module'" in notes_of(report, "took")
    assert "not model (--take model" in notes_of(report, "took")
    assert "optimizer" in notes_of(report, "ignored")
    assert report.found is not None
    assert report.found.details["epoch"] == "12"


def small_state() -> dict[str, torch.Tensor]:
    """Of the small network, under the names of the same script."""
    spec = NetworkSpec("cifar_resnet14", 3, Size(32, 32))
    return servable_state(random_servable(spec, seed=0))


@pytest.fixture
def small_preprocess(tmp_path: Path) -> str:
    path = tmp_path / "small.toml"
    path.write_text('[preprocess]\nsteps = [{ resize = [32, 32], interpolation = "bilinear" }]\n', "utf-8")
    return str(path)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "net", "model"])
def test_the_usual_keys_are_known(key: str, tmp_path: Path, small_preprocess: str) -> None:
    torch.save({key: small_state(), "epoch": 3, "best": 0.9}, tmp_path / "c.pt")

    report = do_import(tmp_path / "c.pt", tmp_path / "line", is_dry_run=True, preprocess=small_preprocess)

    assert report.status == "importable", report.reason
    assert f"under {key!r}" in notes_of(report, "took")
    assert not (tmp_path / "line").exists()


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "model.", "backbone.", "net.", "encoder.", "module.module.", "model.net."],
)
def test_prefixes_are_stripped_and_named(prefix: str, tmp_path: Path, small_preprocess: str) -> None:
    state = {f"{prefix}{name}": tensor for name, tensor in small_state().items()}
    torch.save(state, tmp_path / "c.pt")

    report = do_import(tmp_path / "c.pt", tmp_path / "line", is_dry_run=True, preprocess=small_preprocess)

    assert report.status == "importable", report.reason
    assert f"`{prefix}`" in notes_of(report, "stripped")


@pytest.mark.slow
def test_real_wrappers_are_seen_through(
    network: nn.Module, tmp_path: Path, record_parity: RecordParity
) -> None:
    wrapped = nn.DataParallel(torch.compile(network))
    torch.save(wrapped.state_dict(), tmp_path / "c.pt")

    report = do_import(tmp_path / "c.pt", tmp_path / "line")

    check_parity(report, predicted(network), record_parity, "`module._orig_mod.` names")
    assert "`module._orig_mod.`" in notes_of(report, "stripped")


@pytest.mark.parametrize("save", [torch.save, pytest.param(save_legacy, marks=pytest.mark.slow)])
def test_a_whole_module_is_harvested_without_calling_anything(
    save: Callable[..., None], network: nn.Module, tmp_path: Path, record_parity: RecordParity
) -> None:
    save(network, tmp_path / "model.pt")

    report = do_import(tmp_path / "model.pt", tmp_path / "line")

    check_parity(report, predicted(network), record_parity, "whole module, zip and older pickle")
    assert "strides" in notes_of(report, "settled")


def test_what_stands_beside_the_network_in_a_whole_module_is_not_passed_over(tmp_path: Path) -> None:
    """A normalisation inside the model would be lost; a softmax behind it changes nothing."""
    network = resnet.resnet18(weights=None, num_classes=3).eval()
    torch.save(nn.Sequential(transforms.Normalize([0.5] * 3, [0.5] * 3), network), tmp_path / "model.pt")
    torch.save(nn.Sequential(network, nn.Softmax(dim=1)), tmp_path / "softmax.pt")

    assert "Normalize" in refusal(tmp_path / "model.pt", tmp_path / "line")
    assert do_import(tmp_path / "softmax.pt", tmp_path / "line", is_dry_run=True).status == "importable"


def test_a_file_that_calls_itself_otherwise_than_its_tensors_is_a_question(tmp_path: Path) -> None:
    content = {
        "arch": "resnetblur18",
        "state_dict": resnet.resnet18(weights=None, num_classes=3).state_dict(),
    }
    torch.save(content, tmp_path / "c.pt")

    assert options_of(do_import(tmp_path / "c.pt", tmp_path / "line")) == ["--architecture resnet18"]


class Mine(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = resnet.resnet18(weights=None)
        self.backbone.fc = nn.Identity()
        self.classifier = nn.Linear(512, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.backbone(images))


def test_a_module_of_an_unknown_class_is_refused_with_the_line_that_saves_it(tmp_path: Path) -> None:
    torch.save(Mine(), tmp_path / "model.pt")

    words = refusal(tmp_path / "model.pt", tmp_path / "line")

    assert f"{__name__}.Mine" in words
    assert "torch.save(model.state_dict()" in words


def test_a_module_with_other_strides_is_refused_although_its_tensors_fit(tmp_path: Path) -> None:
    model = resnet.resnet50(weights=None, num_classes=3, replace_stride_with_dilation=[False, False, True])
    torch.save(model, tmp_path / "model.pt")

    words = refusal(tmp_path / "model.pt", tmp_path / "line")

    assert "has stride = 1, resnet50 has 2: the tensors fit, the answers would be wrong" in words


def test_a_head_outside_the_trunk_is_a_question(tmp_path: Path) -> None:
    """A file of weights does not say what the forward does with a module of the script's own."""
    torch.save(Mine().state_dict(), tmp_path / "c.pt")

    assert "--head classifier" in options_of(do_import(tmp_path / "c.pt", tmp_path / "line"))
    answered = do_import(tmp_path / "c.pt", tmp_path / "line", head="classifier")

    assert answered.status == "imported", answered.reason
    assert not (tmp_path / "line" / "2").exists()


def test_everything_that_is_not_known_is_asked_at_once(tmp_path: Path) -> None:
    torch.save(small_state(), tmp_path / "c.pt")

    options = options_of(do_import(tmp_path / "c.pt", tmp_path / "line", classes=None, preprocess=None))

    assert any("--classes" in option for option in options)
    assert any("--preprocess" in option for option in options)
    assert not (tmp_path / "line").exists()


def test_the_gap_in_an_mlp_head_is_a_question_unless_the_module_itself_says(
    tmp_path: Path, record_parity: RecordParity
) -> None:
    head = nn.Sequential(nn.Linear(512, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 3))
    model = tutorial_network(head=head)
    torch.save(model.state_dict(), tmp_path / "c.pt")
    torch.save(model, tmp_path / "model.pt")

    assert any(
        "--head-activation" in each for each in options_of(do_import(tmp_path / "c.pt", tmp_path / "a"))
    )
    told = do_import(tmp_path / "c.pt", tmp_path / "a", head_activation="relu")
    seen = do_import(tmp_path / "model.pt", tmp_path / "b")

    check_parity(told, predicted(model), record_parity, "MLP head (Linear, ReLU, Dropout, Linear)")
    check_parity(seen, predicted(model), record_parity, "MLP head (Linear, ReLU, Dropout, Linear)")


def test_a_tanh_in_the_head_of_a_whole_module_is_refused(tmp_path: Path) -> None:
    head = nn.Sequential(nn.Linear(512, 32), nn.Tanh(), nn.Linear(32, 3))
    torch.save(tutorial_network(head=head), tmp_path / "model.pt")

    assert "Tanh" in refusal(tmp_path / "model.pt", tmp_path / "line")


def test_batch_norm_in_the_head_is_folded_exactly(tmp_path: Path, record_parity: RecordParity) -> None:
    head = nn.Sequential(nn.Linear(512, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 3))
    model = tutorial_network(head=head)
    torch.save(model, tmp_path / "model.pt")

    report = do_import(tmp_path / "model.pt", tmp_path / "line")

    check_parity(report, predicted(model), record_parity, "head with batch normalisation, whole module")
    assert "batch normalisation" in notes_of(report, "folded")


def test_one_output_becomes_two_classes_with_the_same_probability(tmp_path: Path) -> None:
    model = tutorial_network(head=nn.Linear(512, 1))
    torch.save(model.state_dict(), tmp_path / "c.pt")

    report = do_import(tmp_path / "c.pt", tmp_path / "line", classes="no,yes")

    assert report.status == "imported", report.reason
    assert "BCEWithLogitsLoss" in notes_of(report, "settled")


def test_classes_in_another_order_than_the_file_says_are_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": small_state(), "classes": list(CLASSES)}, tmp_path / "c.pt")

    assert "orders its classes" in refusal(
        tmp_path / "c.pt", tmp_path / "line", classes="boar,castrate,female"
    )


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_a_torchscript_program_gives_its_tensors(
    network: nn.Module, tmp_path: Path, record_parity: RecordParity
) -> None:
    torch.jit.trace(network, torch.zeros(1, 3, 224, 224)).save(tmp_path / "model.pt")

    report = do_import(tmp_path / "model.pt", tmp_path / "line")

    check_parity(report, predicted(network), record_parity, "TorchScript")
