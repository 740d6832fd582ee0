"""What every server is given: one ResNet-50 of three classes, and pictures of a line with torch's answers to them.

The weights are random but for the last layer, which is fitted (ridge regression) to painted carcasses: so the
pictures get different answers, and a server that mixes up two of a batch is found out.
"""

import io
import shutil
import subprocess
import sys
from functools import cached_property
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from app.bundles.golden import GoldenPicture
from app.bundles.manifest_text import describe
from app.bundles.writer import write_bundle
from app.demo.painter import paint
from app.domain import Crop, Geometry, Normalisation, ResizeShorter, Size
from bench import machine
from bench.peer_servers.network import CLASSES, classify, opened, resized, transform_to
from bench.requests import Answer

NAME = "classifier"
WIDTH, HEIGHT = 768, 574
PICTURES, GOLDEN, FITTED = 16, 6, 24
SIDE = 224
"""Pixels of the network's input, as everywhere."""


class Unavailable(Exception):
    """Something cannot be measured here; the text says why and goes into the table."""


def painted(first_seed: int, count: int) -> list[bytes]:
    """Painted carcasses of all classes in turn, as JPEG files of 768 x 574."""
    files = []
    for number in range(count):
        file = io.BytesIO()
        image = Image.fromarray(paint(CLASSES[number % len(CLASSES)], first_seed + number).image)
        image.resize((WIDTH, HEIGHT)).save(file, "JPEG", quality=85)
        files.append(file.getvalue())
    return files


class Workload:
    """Written into `folder`; `pictures` are what is posted. With another `side` only Lineside can be given it."""

    def __init__(self, folder: Path, pictures: list[bytes] | None = None, *, side: int = SIDE) -> None:
        self.classes = CLASSES
        transform = transform_to(side)

        def tensor_of(data: bytes) -> torch.Tensor:
            return opened(data, transform)

        self.pictures = pictures or painted(9_000_000, PICTURES)
        self.folder = folder
        self.picture_folder = folder / "pictures"
        self.picture_folder.mkdir()
        for number, data in enumerate(self.pictures):
            (self.picture_folder / f"{number:03}").write_bytes(data)
        self.weights = folder / "weights.pth"
        self.models = folder / "models"
        fitted = painted(8_000_000, FITTED)
        model = _network(torch.stack([tensor_of(data) for data in fitted]))
        torch.save(model.state_dict(), self.weights)
        self.calibration = folder / "calibration"
        self.calibration.mkdir()
        for number, data in enumerate(fitted):
            (self.calibration / f"{number:03}.jpg").write_bytes(data)
        self.answers: list[Answer] = [
            answer for data in self.pictures for answer in classify(model, [tensor_of(data)])
        ]
        golden = painted(8_500_000, GOLDEN)
        with torch.inference_mode():
            logits = model(torch.stack([tensor_of(data) for data in golden])).numpy()
        write_bundle(
            self.models / NAME / "1",
            manifest=describe(
                architecture="resnet50",
                classes=CLASSES,
                geometry=Geometry(
                    steps=(ResizeShorter(resized(side), "bilinear"), Crop(Size(side, side), "center"))
                ),
                normalisation=Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
            ),
            write_weights=lambda path: save_file(model.state_dict(), path),
            pictures=[
                GoldenPicture(f"{number:02}.jpg", data, logits[number]) for number, data in enumerate(golden)
            ],
            made_with={"torch": torch.__version__},
        )

    @cached_property
    def quantised_models(self) -> Path:
        """A repository whose highest version is int8, made as a user makes it.

        Raises:
            Unavailable: this Lineside does not quantise, or it refused the result.
        """
        repository = self.folder / "quantised-models"
        shutil.rmtree(repository, ignore_errors=True)  # of an attempt that failed
        shutil.copytree(self.models, repository)
        first = repository / NAME / "1"
        command: list[str | Path] = [
            Path(sys.executable).parent / "lineside",
            "quantize",
            NAME,
            "--images",
            self.calibration,
        ]
        done = subprocess.run(
            command,
            check=False,
            env=self.lineside_environment(repository),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            said = last_words(done.stderr or done.stdout)
            raise Unavailable(f"`lineside quantize` ended with {done.returncode}: {said}")
        shutil.rmtree(first)  # else it is served too, and its memory counted
        return repository

    def lineside_environment(self, repository: Path, **variables: str) -> dict[str, str]:
        """This process's variables for a Lineside of this repository; a cache of its own, so that runs are alike."""
        return without_lineside() | {
            "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
            "LINESIDE_MODEL_REPOSITORY": str(repository),
            "LINESIDE_CACHE_FOLDER": str(self.folder / "cache"),
            **variables,
        }


def last_words(text: str) -> str:
    """The last line of a log that says something, without the frame that a terminal program draws around it."""
    lines = [line.strip(" │╭╮╰╯─") for line in text.splitlines()]
    return next((line for line in reversed(lines) if any(map(str.isalpha, line))), "it said nothing")[:300]


def without_lineside() -> dict[str, str]:
    """The user's variables but for the LINESIDE_ ones, which would steer the server under test."""
    return {key: value for key, value in machine.environment().items() if not key.startswith("LINESIDE_")}


def _network(fitted: torch.Tensor) -> nn.Module:
    """fitted: (N, 3, side, side) float32, their classes in turn."""
    torch.manual_seed(7)
    model = models.resnet50(num_classes=len(CLASSES))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the plain average over these pictures
        if isinstance(module, models.resnet.Bottleneck):
            # Random branches at full weight amplify int8's rounding until 10 of 16 pictures keep their class; a
            # trained network does not, nor does this one (16 of 16, no probability further than 0.04).
            nn.init.constant_(module.bn3.weight, 0.2)
    head, model.fc = model.fc, nn.Identity()
    with torch.no_grad():
        model.train()(fitted[:12])
        features = torch.cat([model.eval()(part) for part in fitted.split(12)]).double()
        wanted = 6.0 * torch.eye(len(CLASSES), dtype=torch.float64)[torch.arange(len(fitted)) % len(CLASSES)]
        mean = features.mean(0)
        gram = (features - mean) @ (features - mean).T
        gram += gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
        weight = (features - mean).T @ torch.linalg.solve(gram, wanted - wanted.mean(0))
        head.weight.copy_(weight.T)
        head.bias.copy_(wanted.mean(0) - mean @ weight)
    model.fc = head
    return model.eval()
