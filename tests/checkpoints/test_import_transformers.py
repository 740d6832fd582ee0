"""Promises of the importer for Transformers' ResNets: the folder's configuration counts, and is missed where it is not."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from support.foreign import (
    CLASSES,
    SIZES,
    calibrated,
    check_parity,
    do_import,
    image_of,
    notes_of,
    options_of,
    picture_files,
    predicted,
    refusal,
    served,
)
from support.parity import PARITY, RecordParity
from torch import Tensor, nn

from app.checkpoints.folder_steps import hugging_face_steps
from app.checkpoints.found import Answers
from app.checkpoints.readers import read_checkpoint
from app.domain import Crop, LinearHead, MlpHead, ResizeShorter, Size

pytestmark = pytest.mark.filterwarnings("ignore")  # other people's deprecations

RESNET50 = {"layer_type": "bottleneck", "depths": [3, 4, 6, 3], "hidden_sizes": [256, 512, 1024, 2048]}


def hugging_face_folder(
    folder: Path, *, classifier: nn.Module | None = None, **config: Any
) -> tuple[nn.Module, Any]:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    names = dict(enumerate(CLASSES))
    sizes = {"depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512], "layer_type": "basic"}
    labels = {"id2label": names, "label2id": {name: index for index, name in names.items()}}
    settings = transformers.ResNetConfig(**labels | sizes | config)
    network = transformers.ResNetForImageClassification(settings)
    network.classifier = classifier or network.classifier

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.inner(images).logits
            return logits

    model = calibrated(Logits())
    network.save_pretrained(folder)
    processor = transformers.ConvNextImageProcessorPil(size={"shortest_edge": 224}, crop_pct=0.875)
    processor.save_pretrained(folder)
    return model, processor


TRANSFORMERS = {
    "basic": "Transformers folder, ResNet-18 form",
    "bottleneck": "Transformers folder, ResNet-50 form",
}


@pytest.mark.parametrize("layer_type", ["basic", pytest.param("bottleneck", marks=pytest.mark.slow)])
def test_a_transformers_folder_needs_no_answers(
    layer_type: str, tmp_path: Path, record_parity: RecordParity
) -> None:
    """Names, classes and preprocessing (crop_pct too) are the folder's own."""
    sizes = {} if layer_type == "basic" else RESNET50
    model, processor = hugging_face_folder(tmp_path / "hub", **sizes)

    report = do_import(tmp_path / "hub", tmp_path / "line", preprocess=None, classes=None)

    def transform(image: Image.Image) -> Tensor:
        pixels: Tensor = processor(image, return_tensors="pt")["pixel_values"][0]
        return pixels

    check_parity(report, predicted(model, transform), record_parity, TRANSFORMERS[layer_type])
    assert report.classes == CLASSES


def test_the_torchvision_processor_of_transformers_differs_in_rounding_alone(
    tmp_path: Path, record_parity: RecordParity
) -> None:
    """The same folder, read by either: where nothing is resized the answers are equal, else some values are one or
    two grey levels apart, which no configuration tells."""
    transformers = pytest.importorskip("transformers")
    model, pillow = hugging_face_folder(tmp_path / "hub")
    torchvision = transformers.ConvNextImageProcessor(size={"shortest_edge": 224}, crop_pct=0.875)
    torchvision.save_pretrained(tmp_path / "hub")

    def pixels(processor: Any, image: Image.Image) -> Tensor:
        values: Tensor = processor(image, return_tensors="pt")["pixel_values"][0]
        return values

    report = do_import(tmp_path / "hub", tmp_path / "line", preprocess=None, classes=None)

    expected = predicted(model, lambda image: pixels(torchvision, image))
    unresized = SIZES.index((258, 256))
    differences = abs(served(report) - expected).max(axis=1) / abs(expected).max()
    assert differences[unresized] <= PARITY
    record_parity("the same, its torchvision processor", float(differences[unresized]))
    for data in picture_files():
        levels = (pixels(pillow, image_of(data)) - pixels(torchvision, image_of(data))).abs() * 0.5 * 255
        assert float(levels.max()) < 2.01
        assert float((levels > 0.01).float().mean()) < 5e-3
    assert "torchvision one differs" in notes_of(report, "warning")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", "["),
        ("config.json", '{"model_type": "vit"}'),
        (
            "preprocessor_config.json",
            '{"size": {"shortest_edge": 224}, "resample": 3, "crop_pct": "x", '
            '"image_processor_type": "ConvNextImageProcessor"}',
        ),
        ("model.safetensors", "\0\0"),
    ],
)
def test_a_forged_folder_is_refused(file: str, content: str, tmp_path: Path) -> None:
    hugging_face_folder(tmp_path / "hub")
    (tmp_path / "hub" / file).write_text(content, "utf-8")

    refusal(tmp_path / "hub", tmp_path / "line", preprocess=None, classes=None)


def test_a_classifier_of_several_layers_is_read_whole(tmp_path: Path) -> None:
    """Its hidden layer is as wide as the features, so that either layer alone would fit."""
    layers = nn.Sequential(nn.Flatten(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 3))
    model, _ = hugging_face_folder(tmp_path / "hub", classifier=layers)

    asked = do_import(tmp_path / "hub", tmp_path / "line", classes=None)
    report = do_import(tmp_path / "hub", tmp_path / "line", classes=None, head_activation="relu")

    assert "--head-activation relu" in options_of(asked)[0]
    assert report.found is not None
    assert report.found.head == MlpHead((512,))
    check_parity(report, predicted(model))


CONFIGURATIONS = {
    "strides": ({"downsample_in_bottleneck": True}, "strides"),
    "several classes at once": ({"problem_type": "multi_label_classification"}, "multi_label_classification"),
    "regression": ({"problem_type": "regression"}, "regression"),
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("transformers") / "hub"
    hugging_face_folder(folder)
    return folder


@pytest.mark.parametrize("case", CONFIGURATIONS)
@pytest.mark.parametrize("given", ["hub", "hub/model.safetensors"])
def test_a_configuration_of_another_network_is_refused(
    case: str, given: str, hub: Path, tmp_path: Path
) -> None:
    """Same tensors, other answers: the classic silent error. The weights alone are read with what lies beside them."""
    change, words = CONFIGURATIONS[case]
    config = json.loads((hub / "config.json").read_text("utf-8"))
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "model.safetensors").hardlink_to(hub / "model.safetensors")
    (tmp_path / "hub" / "config.json").write_text(json.dumps(config | change), "utf-8")

    assert words in refusal(tmp_path / given, tmp_path / "line", classes=None)


def test_a_single_output_may_be_one_label_of_several(hub: Path, tmp_path: Path) -> None:
    """Trained with BCEWithLogitsLoss it says which of two classes, as elsewhere."""
    hugging_face_folder(
        tmp_path / "hub",
        problem_type="multi_label_classification",
        id2label={0: "boar"},
        label2id={"boar": 0},
    )

    found = read_checkpoint(tmp_path / "hub")

    assert (found.head, found.class_count, found.questions) == (LinearHead(), 2, ())


@pytest.mark.parametrize("config", [{"lr": 0.1, "epochs": 90}, {"model_type": "resnet18", "lr": 0.1}])
def test_weights_beside_a_training_script_s_configuration_are_read_alone(
    config: dict[str, object], hub: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.safetensors").hardlink_to(hub / "model.safetensors")
    (tmp_path / "run" / "config.json").write_text(json.dumps(config), "utf-8")

    found = read_checkpoint(tmp_path / "run" / "model.safetensors")

    assert (found.format, found.architectures, found.questions) == ("safetensors", ("resnet18",), ())
    assert "name the weights alone: run/model.safetensors" in refusal(tmp_path / "run", tmp_path / "line")


@pytest.mark.parametrize("prefix", ["model.", "module._orig_mod."])
def test_a_transformers_network_is_found_under_any_prefix(prefix: str, hub: Path, tmp_path: Path) -> None:
    """With a metric beside it, as a Lightning module saves it."""
    state = read_checkpoint(hub).tensors
    saved = {f"{prefix}{name}": tensor for name, tensor in _state(hub).items()}
    torch.save({"state_dict": saved | {"metric.total": torch.zeros(1)}}, tmp_path / "last.ckpt")

    found = read_checkpoint(tmp_path / "last.ckpt")

    assert (found.architectures, found.head, found.questions) == (("resnet18",), LinearHead(), ())
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in state.items())


def test_of_two_transformers_networks_one_is_asked_for(hub: Path, tmp_path: Path) -> None:
    theirs = _state(hub)
    both = {f"{name}.{key}": tensor for name in ("student", "teacher") for key, tensor in theirs.items()}
    torch.save(both, tmp_path / "both.pth")

    asked = read_checkpoint(tmp_path / "both.pth")
    told = read_checkpoint(tmp_path / "both.pth", Answers(take="teacher"))

    assert [question.option for question in asked.questions] == ["--take student or --take teacher"]
    assert (told.head, told.questions) == (LinearHead(), ())


def _state(folder: Path) -> dict[str, Tensor]:
    safetensors = pytest.importorskip("safetensors.torch")
    state: dict[str, Tensor] = safetensors.load_file(folder / "model.safetensors")
    return state


@pytest.mark.slow
@pytest.mark.parametrize("is_first", [True, False])
def test_a_bottleneck_without_its_configuration_is_asked_for_its_version(
    *, is_first: bool, tmp_path: Path
) -> None:
    """Either answer gives the network that it is for."""
    model, _ = hugging_face_folder(tmp_path / "hub", downsample_in_bottleneck=is_first, **RESNET50)
    torch.save(_state(tmp_path / "hub"), tmp_path / "best.pth")

    asked = do_import(tmp_path / "best.pth", tmp_path / "line")
    told = do_import(
        tmp_path / "best.pth", tmp_path / "line", architecture="resnet50_v1" if is_first else "resnet50"
    )

    (option,) = options_of(asked)
    assert option.startswith("--architecture resnet50 ")
    assert option.endswith("--architecture resnet50_v1")
    check_parity(told, predicted(model))


@pytest.mark.parametrize(
    ("processor", "changes"),
    [
        ("DeiTImageProcessor", {"size": 256}),  # as older versions saved it; read as 256 x 256
        ("LevitImageProcessor", {}),  # resizes to 256/224 of what it says
        ("MobileViTImageProcessor", {}),  # and turns RGB to BGR
        ("MobileViTImageProcessor", {"size": {"height": 256, "width": 256}, "do_center_crop": False}),
        ("EfficientNetImageProcessor", {}),  # takes 1 off before it normalises
    ],
)
def test_the_steps_of_an_image_processor_that_is_not_known_are_asked_for(
    processor: str, changes: dict[str, object]
) -> None:
    transformers = pytest.importorskip("transformers")
    config = json.loads(getattr(transformers, processor)().to_json_string())

    assert hugging_face_steps(config | changes) is None


def test_a_feature_extractor_of_before_2023_is_the_image_processor_of_its_name() -> None:
    """As microsoft/resnet-50 has it to this day, and whatever was fine-tuned from it then."""
    extractor = {
        "crop_pct": 0.875, "do_normalize": True, "do_resize": True, "feature_extractor_type": "ConvNextFeatureExtractor",
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "resample": 3, "size": 224,
    }  # fmt: skip

    found = hugging_face_steps(extractor)

    assert found is not None
    assert found.geometry.steps == (ResizeShorter(256, "bicubic"), Crop(Size(224, 224), "center"))
    assert found.source == "preprocessor_config.json, ConvNextFeatureExtractor"


@pytest.mark.parametrize("size", [224, {"shortest_edge": 224}])
def test_a_single_number_is_the_shorter_side_where_the_processor_reads_it_so(size: object) -> None:
    transformers = pytest.importorskip("transformers")
    config = json.loads(transformers.CLIPImageProcessor().to_json_string())

    found = hugging_face_steps(config | {"size": size})

    assert found is not None
    assert found.geometry.steps == (ResizeShorter(224, "bicubic"), Crop(Size(224, 224), "center"))
