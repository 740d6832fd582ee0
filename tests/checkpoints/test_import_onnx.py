"""Promises of the importer for ONNX graphs: what flows into what counts, and every attribute; nothing else.

Exported by torch; where a change needs no other network, onnx's own helpers make it in the exported graph.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from support.foreign import check_parity, do_import, predicted, refusal, tutorial_network
from support.onnx_graphs import (
    Change,
    appended,
    average_pooling,
    changed,
    export,
    inserted,
    leaky,
    moved_before,
    normalised,
    one_output,
    other_shortcut,
    product_and_sum,
    quantised,
    setting,
    shape_in_numbers,
    unnamed,
    without_defaults,
)
from support.parity import RecordParity
from torch import Tensor, nn
from torchvision.models import resnet

from app.checkpoints.readers import read_checkpoint
from app.domain import LinearHead, MlpHead

pytestmark = pytest.mark.filterwarnings("ignore")  # other people's deprecations


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """Whose every tensor differs from every other, so that exchanged ones show."""
    torch.manual_seed(0)
    model = resnet.resnet18(num_classes=3)
    for name, tensor in model.state_dict().items():
        if "num_batches" not in name and name.partition(".")[0] != "fc" and "conv" not in name:
            nn.init.uniform_(tensor, 0.5, 1.5)
    return model.eval()


@pytest.fixture(scope="module")
def exported(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Batch normalisation folded, as the exporter does by default, and kept."""
    folder = tmp_path_factory.mktemp("onnx")
    return {
        name: export(network, folder / f"{name}.onnx", does_fold=name == "folded")
        for name in ("folded", "kept")
    }


OTHER_NETWORKS: dict[str, tuple[Change, str]] = {
    "a pooling that rounds up": (setting("maxpool", ceil_mode=1), "maxpool has ceil_mode"),
    "a pooling without padding": (setting("maxpool", pads=[0, 0, 0, 0]), "maxpool has pads"),
    "a pooling of 2 x 2": (setting("maxpool", kernel_shape=[2, 2], pads=[0] * 4), "maxpool has kernel_shape"),
    "an average in the stem": (average_pooling, "AveragePool"),
    "other strides": (setting("layer2.0/conv1", strides=[1, 1]), "layer2.0.conv1 has strides"),
    "ONNX's own strides": (setting("layer2.0/conv1", strides=None), "layer2.0.conv1 has strides = (1, 1)"),
    "padding by size": (setting("layer2.0/conv1", pads=None, auto_pad="SAME_UPPER"), "auto_pad"),
    "a shortcut from elsewhere": (other_shortcut, "layer1.1 does not add"),
    "another activation": (leaky, "LeakyRelu"),
    "a normalisation in the graph": (normalised, "Sub"),
    "an activation behind the features": (inserted("Tanh", "avgpool"), "Tanh"),
    "several classes at once": (appended("Sigmoid"), "Sigmoid"),
    "numbers of 8 bits": (quantised, "it is quantised (DequantizeLinear)"),
}


FOLDED_TOO = (
    "a pooling without padding",
    "ONNX's own strides",
    "padding by size",
    "a shortcut from elsewhere",
)


@pytest.mark.parametrize(
    ("form", "case"),
    [*(("kept", case) for case in OTHER_NETWORKS), *(("folded", case) for case in FOLDED_TOO)],
)
def test_a_graph_that_computes_something_else_is_refused_by_name(
    form: str, case: str, exported: dict[str, Path], tmp_path: Path
) -> None:
    """Every tensor fits in each of them; the answers would be wrong."""
    change, words = OTHER_NETWORKS[case]
    path = changed(exported[form], change, tmp_path)

    assert words in refusal(path, tmp_path / "line")


def test_a_kept_batch_normalisation_is_checked(exported: dict[str, Path], tmp_path: Path) -> None:
    """Its epsilon leaves no trace in the tensors, and in training mode it answers by its batch."""
    epsilon = changed(exported["kept"], setting("layer1.0/bn1", epsilon=1e-3), tmp_path)
    assert "layer1.0.bn1 has epsilon = 0.001" in refusal(epsilon, tmp_path / "line")

    training = changed(exported["kept"], setting("layer1.0/bn1", training_mode=1), tmp_path)
    assert "model.eval()" in refusal(training, tmp_path / "line")


SAME_NETWORKS: dict[str, Change] = {
    "another order": moved_before("layer2.0/downsample", "layer2.0/conv1"),
    "defaults left out": without_defaults,
    "a Softmax behind it": appended("Softmax", axis=1),
    "a cast of the picture": inserted("Cast", "conv1/Conv", to=1),
    "a product and a sum": product_and_sum,
    "sizes in numbers": shape_in_numbers,
    "no name of its exporter": unnamed,
}


@pytest.mark.parametrize("case", SAME_NETWORKS)
@pytest.mark.parametrize("form", ["folded", pytest.param("kept", marks=pytest.mark.slow)])
def test_a_graph_written_otherwise_gives_the_same_answers(
    form: str, case: str, exported: dict[str, Path], network: nn.Module, tmp_path: Path
) -> None:
    found = read_checkpoint(changed(exported[form], SAME_NETWORKS[case], tmp_path))

    assert (found.architectures, found.head, found.questions) == (("resnet18",), LinearHead(), ())
    check_features(found.tensors, network)


def test_one_output_may_lose_its_axis(exported: dict[str, Path], tmp_path: Path) -> None:
    found = read_checkpoint(changed(exported["folded"], one_output, tmp_path))

    assert (found.head, found.class_count, found.questions) == (LinearHead(), 2, ())


def check_features(tensors: Any, network: nn.Module) -> None:
    """The network, loaded with what was found, gives its own answers."""
    other = resnet.resnet18(num_classes=3).eval()
    other.load_state_dict(dict(tensors), strict=False)
    pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected: Tensor = network(pixels)
        assert float((other(pixels) - expected).abs().max() / expected.abs().max()) < 1e-4


@pytest.mark.slow
def test_a_downsampling_before_its_block_is_told_by_its_edges(tmp_path: Path) -> None:
    """In ResNet-50's first block it has the very shape and strides of the last convolution."""
    torch.manual_seed(0)
    model = resnet.resnet50(num_classes=3).eval()
    path = export(model, tmp_path / "m.onnx", does_fold=False)
    found = read_checkpoint(
        changed(path, moved_before("layer1.0/downsample/downsample.0", "layer1.0/conv3"), tmp_path)
    )

    for name in ("layer1.0.conv3.weight", "layer1.0.downsample.0.weight"):
        assert torch.equal(found.tensors[name], model.state_dict()[name])


@pytest.mark.parametrize("does_fold", [True, False])
def test_an_mlp_says_itself_what_stands_between_its_layers(*, does_fold: bool, tmp_path: Path) -> None:
    """A file of weights would be asked for it."""
    head = nn.Sequential(nn.Linear(512, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3))
    model = resnet.resnet18()
    model.fc = head
    path = export(model.eval(), tmp_path / "m.onnx", does_fold=does_fold)

    found = read_checkpoint(path)
    words = refusal(path, tmp_path / "line", head_activation="none")

    assert (found.head, found.class_count, found.questions) == (MlpHead((8,)), 3, ())
    assert torch.equal(found.tensors["fc.2.weight"], head[3].weight)
    assert "in the graph it is relu" in words


@pytest.mark.parametrize("does_fold", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_an_onnx_graph_gives_its_tensors(
    *, does_fold: bool, tmp_path: Path, record_parity: RecordParity
) -> None:
    """Folded as the exporter does by default, and with its batch normalisation kept."""
    onnx = pytest.importorskip("onnx")
    model = tutorial_network()
    mode = torch.onnx.TrainingMode.EVAL if does_fold else torch.onnx.TrainingMode.PRESERVE
    torch.onnx.export(
        model,
        (torch.zeros(1, 3, 224, 224),),
        str(tmp_path / "m.onnx"),
        dynamo=False,
        training=mode,
        do_constant_folding=does_fold,
    )
    onnx.checker.check_model(str(tmp_path / "m.onnx"))

    report = do_import(tmp_path / "m.onnx", tmp_path / "line")

    check_parity(
        report,
        predicted(model),
        record_parity,
        f"ONNX, batch normalisation {'folded' if does_fold else 'kept'}",
    )


@pytest.mark.slow
@pytest.mark.parametrize("is_one_file", [False, True])
def test_an_onnx_graph_of_the_newer_exporter_gives_its_tensors(
    *, is_one_file: bool, tmp_path: Path, record_parity: RecordParity
) -> None:
    """Its default keeps the numbers in a file beside the graph; only that file is opened."""
    pytest.importorskip("onnxscript")
    model = tutorial_network()
    path = tmp_path / "m.onnx"
    example = (torch.zeros(1, 3, 224, 224),)
    torch.onnx.export(model, example, str(path), dynamo=True, external_data=not is_one_file, verbose=False)
    beside = tmp_path / "m.onnx.data"
    assert beside.exists() != is_one_file

    report = do_import(path, tmp_path / "line")

    check_parity(report, predicted(model), record_parity, "ONNX of the newer exporter")
    if not is_one_file:
        elsewhere = tmp_path / "elsewhere"
        beside.rename(elsewhere)
        assert "external_data=False" in refusal(path, tmp_path / "other")
        beside.symlink_to(elsewhere)
        assert "not beside it" in refusal(path, tmp_path / "other")
        beside.unlink()
        beside.write_bytes(elsewhere.read_bytes()[:1000])
        assert "holds 1,000" in refusal(path, tmp_path / "other")


@pytest.mark.slow
def test_a_graph_of_the_newer_exporter_without_its_optimiser_is_read(
    network: nn.Module, tmp_path: Path
) -> None:
    """It leaves constants to be computed and batch normalisation as it was."""
    pytest.importorskip("onnxscript")
    path = tmp_path / "m.onnx"
    example = (torch.zeros(1, 3, 64, 64),)
    torch.onnx.export(network, example, str(path), dynamo=True, optimize=False, verbose=False)

    check_features(read_checkpoint(path).tensors, network)


@pytest.mark.parametrize("share", [0.001, 0.5, 0.99])
def test_a_truncated_onnx_graph_is_refused(share: float, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    weight = onnx.numpy_helper.from_array(torch.ones(64, 3, 7, 7).numpy(), "conv1.weight")
    node = onnx.helper.make_node("Conv", ["x", "conv1.weight"], ["y"])
    whole = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], [], [weight])).SerializeToString()
    (tmp_path / "m.onnx").write_bytes(whole[: int(len(whole) * share)])

    refusal(tmp_path / "m.onnx", tmp_path / "line")
