"""Promises of the importer for every architecture that Lineside serves: its head is named, not guessed."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from support.foreign import (
    CLASSES,
    TUTORIAL,
    calibrated,
    check_parity,
    do_import,
    notes_of,
    options_of,
    predicted,
    refusal,
)
from support.parity import RecordParity
from support.zoo import library_network
from torch import Tensor, nn
from torchvision import models, transforms

from app.checkpoints.convert import converted
from app.checkpoints.found import Answers, Found
from app.checkpoints.unwrap import Raw
from app.domain import ConcatPoolHead, FlattenHead, HeadSpec, LinearHead, MlpHead, OwnHead
from app.errors import WeightsRefused
from app.nets.architectures import ARCHITECTURES

DEFAULT = {"resnet18", "mobilenet_v3_small", "squeezenet1_1", "vgg11_bn"}
"""The others under the marker `slow`: building them all, even without values, takes half a minute."""
KERAS_ONLY = {name for name, each in ARCHITECTURES.items() if each.family == "resnet_v1"}
EVERY = [
    pytest.param(name, marks=() if name in DEFAULT else pytest.mark.slow)
    for name in ARCHITECTURES
    if name not in KERAS_ONLY and name != "cifar_resnet14"
]
INCEPTIONS = {"inception_v3", "googlenet"}


def without_values(name: str, classes: int = 7) -> dict[str, Tensor]:
    """The library's state dict on the meta device: names and shapes are all that heads are told by."""
    with torch.device("meta"):
        return dict(library_network(name, classes).state_dict())


def with_head(
    state: Mapping[str, Tensor], name: str, layers: Mapping[str, tuple[int, int]]
) -> dict[str, Tensor]:
    """The same trunk with other last layers under the same root: local name -> (outputs, inputs)."""
    root = ARCHITECTURES[name].place.root
    changed = {n: t for n, t in state.items() if not n.startswith(f"{root}.")}
    for layer, shape in layers.items():
        path = f"{root}.{layer}" if layer else root
        changed[f"{path}.weight"] = torch.empty(shape, device="meta")
        changed[f"{path}.bias"] = torch.empty(shape[:1], device="meta")
    return changed


def found_in(state: Mapping[str, Tensor], name: str, *, is_told: bool = False, **answers: object) -> Found:
    if name in INCEPTIONS:
        answers.setdefault("transform_input", False)
    if is_told:
        answers["architecture"] = name
    return converted(Raw("a test's", state), "a test's", Answers(**answers))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", EVERY)
def test_its_state_dict_is_recognised_with_every_usual_head(name: str) -> None:
    """Plain, behind prefixes, replaced by a layer, behind dropout, by an MLP; told the name and untold."""
    state, channels = without_values(name), ARCHITECTURES[name].feature_channels
    own: HeadSpec = LinearHead() if ARCHITECTURES[name].own_head is None else OwnHead()
    heads: dict[HeadSpec, dict[str, tuple[int, int]]] = {
        LinearHead(): {"": (3, channels)},
        MlpHead((16,)): {"0": (16, channels), "3": (3, 16)},
        MlpHead((16, 8)): {"1.0": (16, channels), "1.2": (8, 16), "1.4": (3, 8)},
        MlpHead((18,)): {"first": (18, channels), "last": (3, 18)},
        ConcatPoolHead((16,)): {"1": (16, 2 * channels), "3": (3, 16)},
    }

    for prefix in ("", "module.", "model.backbone."):
        for is_told in (False, True):
            found = found_in({prefix + n: t for n, t in state.items()}, name, is_told=is_told)
            assert not found.questions
            assert (found.architectures, found.head, found.class_count) == ((name,), own, 7)
    for head, layers in heads.items():
        found = found_in(with_head(state, name, layers), name, activation="relu", pooling="max-average")
        assert not found.questions
        assert (found.architectures, found.head, found.class_count) == ((name,), head, 3)
    dropped = found_in(with_head(state, name, {"1": (3, channels)}), name)
    assert (dropped.head, dropped.questions) == (LinearHead(), ())


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(KERAS_ONLY))
def test_strides_of_keras_are_taken_only_where_the_owner_names_them(name: str) -> None:
    """Their tensors are those of torchvision's, which is what a PyTorch file holds."""
    state = without_values(name.removesuffix("_v1"))

    assert found_in(state, name).architectures == (name.removesuffix("_v1"),)
    assert found_in(state, name, is_told=True).architectures == (name,)


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1"])
def test_what_tensors_do_not_say_is_asked_with_the_option(name: str) -> None:
    state, channels = without_values(name), ARCHITECTURES[name].feature_channels

    gap = found_in(with_head(state, name, {"0": (16, channels), "3": (3, 16)}), name)
    pools = found_in(with_head(state, name, {"": (3, 2 * channels)}), name)
    beside = {n: t for n, t in state.items() if not n.startswith(f"{ARCHITECTURES[name].place.root}.")}
    beside["head.weight"] = torch.empty(3, channels, device="meta")
    elsewhere = found_in({f"net.{n}": t for n, t in beside.items()}, name)
    told = found_in({f"net.{n}": t for n, t in beside.items()}, name, head="net.head")

    assert [question.option for question in gap.questions] == [
        "--head-activation relu, or --head-activation none for dropout alone; what has another activation is not served"
    ]
    assert "--head-pooling max-average" in pools.questions[0].option
    assert [question.option for question in elsewhere.questions] == ["--head net.head"]
    assert (told.head, told.questions) == (LinearHead(), ())


@pytest.mark.parametrize(("name", "inputs", "cells"), [("alexnet", 9216, 6), ("vgg11_bn", 25088, 7)])
def test_other_layers_on_flattened_features_are_served(name: str, inputs: int, cells: int) -> None:
    """`model.classifier = nn.Linear(25088, 3)`, or two layers under names, as courses write it."""
    state = without_values(name)

    one = found_in(with_head(state, name, {"": (3, inputs)}), name)
    two = found_in(with_head(state, name, {"fc1": (50, inputs), "fc2": (3, 50)}), name, activation="relu")

    assert one.head == FlattenHead(cells)
    assert two.head == FlattenHead(cells, (50,))


def test_mobilenet_v3s_own_shapes_may_be_an_mlp_with_relu_if_its_owner_says_so() -> None:
    state = without_values("mobilenet_v3_small")

    assert found_in(state, "mobilenet_v3_small").head == OwnHead()
    assert found_in(state, "mobilenet_v3_small", activation="relu").head == MlpHead((1024,))


def test_a_layer_that_no_head_has_is_refused_by_name() -> None:
    state = without_values("resnet18")
    state["fc.0.weight"] = torch.empty(512, device="meta")
    state["fc.1.weight"] = state.pop("fc.weight")
    del state["fc.bias"]

    with pytest.raises(WeightsRefused, match=r"its head has 0 of shape \(512,\)"):
        found_in(state, "resnet18")


def test_layers_of_own_names_in_no_certain_order_are_refused() -> None:
    state = with_head(
        without_values("resnet18"), "resnet18", {"a": (512, 512), "b": (512, 512), "c": (3, 512)}
    )

    with pytest.raises(WeightsRefused, match="whose order a file does not say"):
        found_in(state, "resnet18", activation="relu")


def test_two_networks_side_by_side_are_a_question() -> None:
    state = without_values("mobilenet_v2")
    both = {f"{role}.{n}": t for role in ("student", "teacher") for n, t in state.items()}

    asked = found_in(both, "mobilenet_v2")

    assert asked.questions[0].option == "--take student or --take teacher"
    assert found_in(both, "mobilenet_v2", take="teacher").head == LinearHead()


@pytest.mark.slow
def test_the_children_of_a_densenet_alone_are_refused() -> None:
    """Its forward has a ReLU between them, which `Sequential(*children)` and fastai leave out."""
    state = {
        n.replace("features.", "0.0.", 1): t
        for n, t in without_values("densenet121").items()
        if n.startswith("features.")
    }

    with pytest.raises(WeightsRefused, match="leaves out what its own forward does"):
        found_in(state, "densenet121")


# --- real weights, real files ------------------------------------------------------------------

SMALL = transforms.Compose(
    [
        transforms.Resize((96, 96)),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
)
MANIFEST = """[preprocess]
steps = [{ resize = [96, 96], interpolation = "bilinear" }]
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
"""


def flat_of(inputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 3))


def real_network(name: str, head: str) -> nn.Module:
    torch.manual_seed(0)
    model = library_network(name, len(CLASSES))
    match head:
        case "mlp":
            channels = ARCHITECTURES[name].feature_channels
            model.classifier = nn.Sequential(nn.Linear(channels, 32), nn.ReLU(), nn.Linear(32, 3))
        case "flat":
            model.classifier = flat_of(9216)
    return calibrated(model, SMALL)


SMALL_FAMILIES = "MobileNetV3 and SqueezeNet, weights and whole module"
GOOGLENET = "GoogLeNet with `transform_input`"
REAL = [
    ("mobilenet_v3_small", "own", True),
    ("squeezenet1_1", "own", True),
    ("mobilenet_v2", "mlp", False),
    ("alexnet", "flat", False),
    ("alexnet", "own", False),
    ("vgg11_bn", "own", False),
    ("densenet121", "own", False),
    ("shufflenet_v2_x0_5", "own", False),
    ("mnasnet0_5", "own", False),
    ("efficientnet_b0", "own", False),
    ("convnext_tiny", "own", False),
    ("resnext50_32x4d", "own", False),
    ("seresnet50", "own", False),
    ("legacy_seresnet50", "own", False),
    ("dpn68", "own", False),
    ("legacy_xception", "own", False),
    ("xception41", "own", False),
]


@pytest.mark.parametrize(
    ("name", "head"),
    [pytest.param(name, head, marks=() if fast else pytest.mark.slow) for name, head, fast in REAL],
)
def test_a_file_of_another_family_predicts_as_its_script(
    name: str, head: str, tmp_path: Path, record_parity: RecordParity
) -> None:
    """Weights alone and, where the pickle is torchvision's own, the whole module."""
    model = real_network(name, head)
    (tmp_path / "small.toml").write_text(MANIFEST, "utf-8")
    files = {"weights.pth": model.state_dict()}
    if ARCHITECTURES[name].extra is None:
        files["model.pth"] = model
    expected = predicted(model, SMALL)
    row = SMALL_FAMILIES if name in {"mobilenet_v3_small", "squeezenet1_1"} else None
    for file, content in files.items():
        torch.save(content, tmp_path / file)
        told = {"head_activation": "relu"} if head != "own" and file == "weights.pth" else {}

        report = do_import(
            tmp_path / file, tmp_path / file[:-4], preprocess=str(tmp_path / "small.toml"), **told
        )

        check_parity(report, expected, record_parity, row)
        (tmp_path / file).unlink()


@pytest.mark.parametrize("name", ["googlenet", pytest.param("inception_v3", marks=pytest.mark.slow)])
def test_an_inceptions_input_transform_is_asked_for_and_folded(
    name: str, tmp_path: Path, record_parity: RecordParity
) -> None:
    """Every network begun from torchvision's pretrained weights has it, and no tensor shows it."""
    torch.manual_seed(0)
    build = {"googlenet": models.googlenet, "inception_v3": models.inception_v3}[name]
    model = build(weights=None, num_classes=3, init_weights=False, transform_input=True)
    model = calibrated(model, TUTORIAL if name == "inception_v3" else SMALL)
    (tmp_path / "small.toml").write_text(MANIFEST, "utf-8")
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    torch.save(model, tmp_path / "model.pth")
    # With random weights Inception's own float32 answers are 3e-4 off its float64 ones at 96 pixels, 5e-5 at 224.
    given = {"preprocess": "imagenet" if name == "inception_v3" else str(tmp_path / "small.toml")}
    transform = TUTORIAL if name == "inception_v3" else SMALL
    expected = predicted(model.double(), lambda image: transform(image).double())

    asked = do_import(tmp_path / "weights.pth", tmp_path / "line", **given)
    told = do_import(tmp_path / "weights.pth", tmp_path / "a", **given, transform_input="on")
    seen = do_import(tmp_path / "model.pth", tmp_path / "b", **given)

    assert any("--transform-input on" in option for option in options_of(asked))
    for report in (told, seen):
        check_parity(report, expected, record_parity, GOOGLENET if name == "googlenet" else None)
        assert "auxiliary classifiers" in notes_of(report, "ignored")
        assert "(0.5, 0.5, 0.5)" in notes_of(report, "folded")


def test_a_whole_module_with_another_activation_in_its_own_head_is_refused(tmp_path: Path) -> None:
    """The shapes are MobileNetV3's own; the answers would not be."""
    model = models.mobilenet_v3_small(weights=None, num_classes=3)
    model.classifier[1] = nn.Tanh()
    torch.save(model, tmp_path / "model.pth")

    assert "Tanh" in refusal(tmp_path / "model.pth", tmp_path / "line")


def test_a_whole_module_that_pools_otherwise_is_refused(tmp_path: Path) -> None:
    model = models.mobilenet_v3_small(weights=None, num_classes=3)
    model.avgpool = nn.AdaptiveMaxPool2d(1)
    torch.save(model, tmp_path / "model.pth")

    assert "AdaptiveMaxPool2d" in refusal(tmp_path / "model.pth", tmp_path / "line")
