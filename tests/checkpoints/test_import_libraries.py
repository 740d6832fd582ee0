"""Promises of the importer for files of other libraries, each written by the library itself.

fastai, with the hundred packages that it brings, is not installed for a test: its file is written by a script that
builds what `create_body` and `create_head` of fastai 2.8 build, and saves what `learn.save` saves.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from support.foreign import (
    CLASSES,
    calibrated,
    check_parity,
    do_import,
    notes_of,
    options_of,
    predicted,
    tutorial_network,
)
from support.parity import RecordParity
from torch import Tensor, nn
from torchvision import models
from torchvision.models import resnet

from app.checkpoints.readers import read_checkpoint
from app.domain import ConcatPoolHead

pytestmark = pytest.mark.filterwarnings("ignore")  # other people's deprecations


@pytest.mark.slow  # importing Lightning alone takes seconds
def test_a_lightning_checkpoint_predicts_as_its_module(tmp_path: Path, record_parity: RecordParity) -> None:
    """With a weighted loss, a metric and hyperparameters beside the network, as real ones have."""
    lightning = pytest.importorskip("lightning")

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self, classes: list[str], options: argparse.Namespace) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.model = tutorial_network()
            self.criterion = nn.CrossEntropyLoss(weight=torch.ones(3))

        def training_step(self, batch: Any, _index: int) -> Tensor:
            return self.criterion(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=1e-6)

    module = Module(list(CLASSES), argparse.Namespace(lr=0.1))
    data = torch.utils.data.TensorDataset(torch.rand(2, 3, 64, 64), torch.tensor([0, 1]))
    trainer = lightning.Trainer(
        max_steps=1, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu"
    )
    trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=2))
    trainer.save_checkpoint(tmp_path / "last.ckpt")

    report = do_import(tmp_path / "last.ckpt", tmp_path / "line", classes=None)

    check_parity(report, predicted(module.model.eval()), record_parity, "Lightning `.ckpt`")
    assert report.found is not None
    assert report.found.origin == "Lightning checkpoint"
    assert report.classes == CLASSES
    assert "criterion.weight" in notes_of(report, "ignored")


def fastai_network(*, concat_pool: bool) -> nn.Module:
    """vision_learner(dls, resnet18, concat_pool=...) of fastai 2.8."""
    torch.manual_seed(0)
    network = resnet.resnet18(weights=None)
    body = nn.Sequential(*list(network.children())[:-2])
    return calibrated(nn.Sequential(body, fastai_head(512, concat_pool=concat_pool)))


def fastai_head(channels: int, *, concat_pool: bool) -> nn.Module:
    """What create_head makes by default."""
    features = 2 * channels if concat_pool else channels
    return nn.Sequential(
        AdaptiveConcatPool2d() if concat_pool else nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.BatchNorm1d(features),
        nn.Dropout(0.25),
        nn.Linear(features, 512, bias=False),
        nn.ReLU(inplace=True),
        nn.BatchNorm1d(512),
        nn.Dropout(0.5),
        nn.Linear(512, 3, bias=False),
    )


class AdaptiveConcatPool2d(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([features.amax((2, 3), keepdim=True), features.mean((2, 3), keepdim=True)], 1)


@pytest.mark.parametrize("with_optimiser", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_fastai_file_predicts_as_its_learner_where_it_pools_by_average(
    *, with_optimiser: bool, tmp_path: Path, record_parity: RecordParity
) -> None:
    model = fastai_network(concat_pool=False)
    content = {"model": model.state_dict(), "opt": {"state": [], "hypers": [{"lr": 0.1}]}}
    torch.save(content if with_optimiser else model.state_dict(), tmp_path / "stage-1.pth")

    report = do_import(tmp_path / "stage-1.pth", tmp_path / "line")

    check_parity(report, predicted(model), record_parity, "fastai `learn.save`, average pooling")
    assert "fastai" in (report.found.origin if report.found else "")
    assert notes_of(report, "folded").count("batch normalisation") == 2


def test_a_fastai_file_with_its_usual_head_predicts_as_its_learner(
    tmp_path: Path, record_parity: RecordParity
) -> None:
    """Maximum and average side by side, batch normalisation before each layer."""
    model = fastai_network(concat_pool=True)
    torch.save({"model": model.state_dict(), "opt": {"state": [], "hypers": []}}, tmp_path / "stage-1.pth")

    report = do_import(tmp_path / "stage-1.pth", tmp_path / "line")

    check_parity(report, predicted(model), record_parity, "fastai `learn.save`, its usual head")
    assert report.found is not None
    assert report.found.head == ConcatPoolHead((512,))
    assert notes_of(report, "folded").count("batch normalisation") == 2


@pytest.mark.slow
def test_a_fastai_file_of_a_network_without_names_is_read(
    tmp_path: Path, record_parity: RecordParity
) -> None:
    """`create_body` keeps SqueezeNet's features as the only child of a Sequential."""
    torch.manual_seed(0)
    body = nn.Sequential(models.squeezenet1_1(weights=None).features)
    model = calibrated(nn.Sequential(body, fastai_head(512, concat_pool=True)))
    torch.save(model.state_dict(), tmp_path / "stage-1.pth")

    report = do_import(tmp_path / "stage-1.pth", tmp_path / "line")

    check_parity(report, predicted(model), record_parity, "fastai `learn.save`, its usual head")
    assert report.found is not None
    assert report.found.architectures == ("squeezenet1_1",)


def timm_network() -> Any:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    return calibrated(timm.create_model("resnet18", num_classes=3))


def timm_transform(model: Any) -> Callable[[Image.Image], Tensor]:
    timm = pytest.importorskip("timm")
    transform: Callable[[Image.Image], Tensor] = timm.data.create_transform(
        **timm.data.resolve_model_data_config(model), is_training=False
    )
    return transform


def test_the_weights_of_a_timm_folder_bring_its_configuration(tmp_path: Path) -> None:
    """resnetblur18 has the very tensors of resnet18, and gives other answers."""
    timm = pytest.importorskip("timm")
    timm.models.save_for_hf(
        timm.create_model("resnetblur18", num_classes=3), tmp_path, safe_serialization=True
    )

    asked = do_import(tmp_path / "model.safetensors", tmp_path / "line")

    assert options_of(asked) == ["--architecture resnet18"]


def test_the_one_evaluation_of_a_timm_folder_may_be_named(tmp_path: Path) -> None:
    """As docs/checkpoints.md has it for every timm folder."""
    timm = pytest.importorskip("timm")
    once = {"test_input_size": None, "test_crop_pct": None}
    model = timm.create_model("resnet18", num_classes=3, pretrained_cfg_overlay=once)
    timm.models.save_for_hf(model, tmp_path / "hub", model_config={"label_names": list(CLASSES)})

    found = read_checkpoint(tmp_path / "hub")
    named = do_import(tmp_path / "hub", tmp_path / "line", preprocess="timm", classes=None, is_dry_run=True)

    assert found.preprocessing is not None
    assert (named.status, named.preprocessing) == ("importable", found.preprocessing)


@pytest.mark.slow
def test_a_timm_training_checkpoint_gives_its_ema(tmp_path: Path, record_parity: RecordParity) -> None:
    timm = pytest.importorskip("timm")
    model = timm_network()
    average = timm.utils.ModelEmaV2(model)
    live = tutorial_network(seed=3)
    arguments = argparse.Namespace(model="resnet18", mean=None, crop_pct=None)
    optimiser = torch.optim.SGD(live.parameters(), lr=0.1)
    saver = timm.utils.CheckpointSaver(
        live, optimiser, args=arguments, model_ema=average, checkpoint_dir=str(tmp_path)
    )
    saver.save_checkpoint(3, metric=0.9)

    report = do_import(tmp_path / "last.pth.tar", tmp_path / "line")

    check_parity(report, predicted(model), record_parity, "timm training checkpoint with EMA")
    assert "'state_dict_ema'" in notes_of(report, "took")


def test_a_timm_folder_brings_its_own_preprocessing(tmp_path: Path, record_parity: RecordParity) -> None:
    timm = pytest.importorskip("timm")
    model = timm_network()
    timm.models.save_for_hf(model, tmp_path / "hub", model_config={"label_names": list(CLASSES)})

    asked = do_import(tmp_path / "hub", tmp_path / "line", preprocess=None, classes=None)
    report = do_import(tmp_path / "hub", tmp_path / "line", preprocess="timm", classes=None)

    assert options_of(asked) == ["--preprocess timm or --preprocess timm-test"]
    check_parity(report, predicted(model, timm_transform(model)), record_parity, "timm model folder")
    assert report.classes == CLASSES
    assert report.preprocessing is not None
    assert "pretrained_cfg" in report.preprocessing.source
