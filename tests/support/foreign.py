"""Networks as other people's libraries train and save them, and what those libraries predict."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms
from torchvision.models import resnet

from app.checkpoints.readers import read_checkpoint
from app.cli.import_options import Options
from app.cli.import_report import Report
from app.cli.importing import imported
from app.domain import NetworkSpec, Normalisation, Size
from app.images.decode import decode
from app.images.preprocess import preprocess
from app.nets.servable import load_servable
from app.wiring import Machine, prove
from support.parity import PARITY, RecordParity
from support.pictures import picture_file

CLASSES = ("castrate", "boar", "female")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

TUTORIAL = transforms.Compose(
    [
        transforms.Resize(256),
        transforms.CenterCrop(224),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
)
"""The validation transform of the PyTorch tutorials."""

SIZES = ((400, 300), (300, 400), (258, 256), (500, 301))


def picture_files() -> list[bytes]:
    """Four pictures of other shapes, PNG: every decoder agrees on them."""
    return [
        picture_file(seed, "PNG", width=width, height=height) for seed, (width, height) in enumerate(SIZES)
    ]


def calibrated(
    model: nn.Module, transform: Callable[[Image.Image], Tensor] = TUTORIAL, *, seed: int = 0
) -> nn.Module:
    """Random weights whose batch norm knows its inputs, so that activations are neither 0 nor huge."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.eval().modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.train().momentum = None
            module.reset_running_stats()
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, std=0.1, generator=generator)
    with torch.no_grad():
        model(torch.stack([transform(image_of(data)) for data in picture_files()] * 2))
    return model.eval()


def image_of(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def tutorial_network(*, head: nn.Module | None = None, seed: int = 0) -> nn.Module:
    """resnet18 with its fc replaced, as every transfer learning tutorial does it."""
    torch.manual_seed(seed)
    model = resnet.resnet18(weights=None)
    model.fc = nn.Linear(512, len(CLASSES)) if head is None else head
    return calibrated(model)


def predicted(
    model: Callable[[Tensor], Tensor], transform: Callable[[Image.Image], Tensor] = TUTORIAL
) -> NDArray[np.float32]:
    """The library's own answers to the pictures, (N, K)."""
    with torch.inference_mode():
        rows = [model(transform(image_of(data))[None])[0] for data in picture_files()]
    return np.stack([np.asarray(row, dtype=np.float32) for row in rows])


def do_import(path: Path, out: Path, **given: object) -> Report:
    """With the answers that a tutorial's file needs, unless others are given."""
    defaults: dict[str, object] = {"classes": ",".join(CLASSES), "preprocess": "imagenet"}
    options = {name: value for name, value in (defaults | given).items() if value is not None}
    return imported(Options(path, out, **options))  # type: ignore[arg-type]


def served(report: Report) -> NDArray[np.float32]:
    """The bundle's answers to the pictures, through its own preprocessing, (N, K)."""
    assert report.status == "imported", (report.reason, report.questions)
    assert report.proved is not None
    bundle = report.proved.bundle
    engine = prove(bundle.folder, machine=Machine.reference(), batch_sizes=(1,), max_pixels=10**7).engine
    answers = []
    for data in picture_files():
        picture = decode(data, geometry=bundle.geometry, max_pixels=10**7)
        pixels = preprocess(picture, bundle.geometry.steps).pixels
        answers.append(engine.run(pixels[np.newaxis]).logits[0])
    engine.close()
    return np.stack(answers)


def check_parity(
    report: Report, expected: NDArray[np.float32], record: RecordParity | None = None, row: str | None = None
) -> float:
    """The largest difference of a logit, as a share of the largest logit; kept for its row of the document."""
    difference = float(np.abs(served(report) - expected).max() / np.abs(expected).max())
    assert difference <= PARITY
    if record is not None and row is not None:
        record(row, difference)
    return difference


def check_logits(path: Path, model: nn.Module, **given: object) -> None:
    """What would be served gives the model's own logits, on pixels of a small picture: quicker than an import.

    The model takes what `imagenet` makes of them.
    """
    defaults: dict[str, object] = {"classes": ",".join(CLASSES), "preprocess": "imagenet"}
    options = Options(path, **(defaults | given))  # type: ignore[arg-type]
    found = read_checkpoint(path, options.answers())
    assert not found.questions
    assert found.head is not None
    assert found.class_count is not None
    normalisation = Normalisation("RGB", 1 / 255, MEAN, STD)
    spec = NetworkSpec(
        found.architectures[0], found.class_count, Size(96, 96), head=found.head, normalisation=normalisation
    )
    pixels = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    with torch.inference_mode():
        own = model(transforms.Normalize(MEAN, STD)(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255))
        logits = load_servable(spec, found.tensors)(torch.from_numpy(pixels))[0]
    assert float((logits - own).abs().max() / own.abs().max()) <= PARITY


def refusal(path: Path, out: Path, **given: object) -> str:
    """The words of a refusal that left nothing behind."""
    report = do_import(path, out, **given)
    assert report.status == "refused", report
    assert report.reason is not None
    assert not out.exists()
    assert str(path.parent) not in report.reason
    return report.reason


def notes_of(report: Report, kind: str) -> str:
    return "\n".join(note.text for note in report.all_notes() if note.kind == kind)


def options_of(report: Report) -> Sequence[str]:
    assert report.status == "question", report
    return [question.option for question in report.questions]
