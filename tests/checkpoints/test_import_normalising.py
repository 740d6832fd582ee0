"""A network that normalises its pixels itself: what it does is read, and `--preprocess` must say the same."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.foreign import check_logits, do_import, refusal
from torch import nn
from torchvision.models import resnet

from app.checkpoints.normalising import same_arithmetic
from app.domain import Normalisation


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "best.pth"


class Normalising(nn.Module):
    def __init__(
        self,
        mean: tuple[float, float, float] = (0.485, 0.456, 0.406),
        std: tuple[float, float, float] = (0.229, 0.224, 0.225),
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.net = resnet.resnet18(weights=None, num_classes=3).eval()


def test_a_normalisation_inside_the_network_is_what_preprocess_must_say(path: Path, tmp_path: Path) -> None:
    model = Normalising()
    torch.save(model.state_dict(), path)
    (tmp_path / "plain.toml").write_text(
        '[preprocess]\nsteps = [{ resize = [96, 96], interpolation = "bilinear" }]\n', "utf-8"
    )

    assert "0.485, 0.456, 0.406" in refusal(path, tmp_path / "line", preprocess=str(tmp_path / "plain.toml"))
    check_logits(path, model.net)  # whose --preprocess imagenet says so


@pytest.mark.parametrize(
    ("mean", "std", "scale"),
    [
        ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0), 1.0),  # it makes 0..1 of pixels
        ((0.49139968, 0.48215841, 0.44653091), (0.24703223, 0.24348513, 0.26158784), '"1/255"'),  # CIFAR's
        ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5), 1.0),
    ],
)
def test_the_normalisation_that_a_network_does_may_be_said_as_its_script_does(
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    scale: object,
    path: Path,
    tmp_path: Path,
) -> None:
    torch.save(Normalising(mean, std).state_dict(), path)
    told = tmp_path / "told.toml"
    told.write_text(
        f'[preprocess]\nsteps = [{{ resize = [32, 32], interpolation = "bilinear" }}]\nscale = {scale}\n'
        f"mean = {list(mean)}\nstd = {list(std)}\n",
        "utf-8",
    )

    assert do_import(path, tmp_path / "line", preprocess=str(told), is_dry_run=True).status == "importable"
    words = refusal(path, tmp_path / "line")
    assert f'channels = "RGB", scale = {scale}, mean = [' in words.partition("itself does")[2]


def test_a_normalisation_counted_in_pixels_is_the_same_as_one_counted_in_shares() -> None:
    pixels = Normalisation("BGR", 1.0, (103.53, 116.28, 123.675), (57.375, 57.12, 58.395))
    shares = Normalisation("RGB", 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

    assert same_arithmetic(pixels, shares)
    assert not same_arithmetic(pixels, replace(pixels, channels="RGB"))
