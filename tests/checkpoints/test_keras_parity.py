"""Promises of Keras files: what Keras answers is what is served.

Every file here is written by Keras itself (torch back end) and read without it. References are Keras' own
`predict` on the same pictures, its preprocessing included.
"""

import importlib
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.bundles import CARCASS, MAX_PIXELS
from support.keras_models import (
    WARNINGS,
    carcass_model,
    keras,
    linear_model,
    logits_of,
    made_random,
    mlp_model,
    pictures,
    predicted,
    read_back,
    with_random_head,
)
from support.parity import PARITY, RecordParity

from app.checkpoints.keras import KerasFound
from app.checkpoints.keras_arrays import Arrays, batch_normalisation
from app.checkpoints.keras_files import Stored
from app.checkpoints.keras_graph import Layer
from app.checkpoints.keras_preprocess import CAFFE, RGB_255
from app.domain import ConvCamHead, Geometry, HeadSpec, LinearHead, MlpHead, NetworkSpec, Normalisation, Size
from app.images.decode import decode
from app.images.preprocess import preprocess
from app.nets.resnet_v1 import BATCH_NORM_EPSILON
from app.nets.servable import Servable, check_sum_rule, load_servable

pytestmark = WARNINGS

RGB_01 = Normalisation()

Floats = NDArray[np.float32]
Pictures = NDArray[np.uint8]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


def served(found: KerasFound, normalisation: Normalisation | None = None, side: int = 224) -> Servable:
    arithmetic = normalisation or found.preprocessing.normalisation
    assert arithmetic is not None
    size = found.input_size or Size(side, side)
    return load_servable(
        NetworkSpec(found.architecture, found.class_count, size, found.head, arithmetic), found.tensors
    )


def answers(servable: Servable, images: Pictures) -> tuple[Floats, Floats]:
    with torch.inference_mode():
        logits, evidence = servable(torch.tensor(images))
    return logits.numpy(), evidence.numpy()


def softmax(logits: Floats) -> Floats:
    return torch.tensor(logits).softmax(1).numpy()


def relative(found: Floats, expected: Floats) -> float:
    assert found.shape == expected.shape
    assert float(np.ptp(expected)) > 0.01, "degenerate reference"
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@cache
def expected_of(build: Any, divisor: float) -> tuple[Floats, Floats]:
    """Keras' own logits and probabilities for `pictures()`, divided first where the graph does not."""
    given = pictures() / np.float32(divisor)
    return logits_of(build(), given), predicted(build(), given)


def check_parity(servable: Servable, build: Any, divisor: float, record: RecordParity) -> None:
    logits, _ = answers(servable, pictures())
    expected_logits, expected = expected_of(build, divisor)
    errors = relative(logits, expected_logits), relative(softmax(logits), expected)
    print("parity", errors)  # noqa: T201 - shown with -rP
    assert max(errors) <= PARITY
    record(TABLE[build], errors[0])
    assert check_sum_rule(servable, torch.tensor(pictures()[:1])).max_relative_error < PARITY


TABLE = {
    carcass_model: "Keras `.h5`, `.keras`, `.weights.h5`: ResNet50, the carcass model's head",
    linear_model: "Keras: average pooling and Dense",
    mlp_model: "Keras: Rescaling in the graph and an MLP",
}

CASES: list[tuple[Any, HeadSpec, Normalisation | None]] = [
    (carcass_model, ConvCamHead(3, 3), None),
    pytest.param(linear_model, LinearHead(), None, marks=pytest.mark.slow),
    (mlp_model, MlpHead((16,)), RGB_255),
]


@pytest.mark.parametrize(("build", "head", "in_graph"), CASES, ids=["conv_cam", "linear", "mlp"])
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_resnet50_answers_as_in_keras(
    build: Any,
    head: HeadSpec,
    in_graph: Normalisation | None,
    suffix: str,
    tmp_path: Path,
    record_parity: RecordParity,
) -> None:
    """Three heads, three ways to put them on the base, two formats."""
    model = build()
    found = read_back(model, tmp_path / f"best{suffix}")

    assert (found.architecture, found.head, found.input_size) == ("resnet50_v1", head, Size(224, 224))
    assert found.class_count == model.output_shape[1]
    assert found.preprocessing.normalisation == in_graph
    assert len(found.questions) == (in_graph is None)
    assert any("53 biases" in note for note in found.notes)
    assert not found.warnings
    check_parity(served(found, in_graph or RGB_01), build, 1 if in_graph else 255, record_parity)


@pytest.mark.parametrize("name", ["best.weights.h5", "legacy"])
def test_weights_alone_are_told_by_their_names_and_say_what_is_on_trust(
    name: str, tmp_path: Path, record_parity: RecordParity
) -> None:
    model = carcass_model()
    if name == "legacy":
        found = read_back(_LegacyWeights(model), tmp_path / "best.weights.h5")
    else:
        found = read_back(model, tmp_path / name)

    assert (found.architecture, found.head, found.class_count) == ("resnet50_v1", ConvCamHead(3, 3), 3)
    assert "on trust" in found.warnings[0]
    assert (found.input_size, found.preprocessing.scheme, len(found.questions)) == (None, "unknown", 2)
    check_parity(served(found, RGB_01), carcass_model, 255, record_parity)


class _LegacyWeights:
    """`save_weights` as Keras 2 did: Keras 3 has the writer still, but no public call."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def save_weights(self, path: Path) -> None:
        writer = importlib.import_module("keras.src.legacy.saving.legacy_h5_format")
        with h5py.File(path, "w") as file:
            writer.save_weights_to_hdf5_group(file, self.model)


@pytest.mark.slow  # tests/api/test_photographs.py serves them; its siblings here answer as Keras does
def test_the_carcass_model_answers_as_in_keras_on_all_photographs(
    carcass_photographs: list[Path], tmp_path: Path
) -> None:
    """Class, probabilities and the 5 x 5 map: the source's pipeline in Keras, ours in ours."""
    model = carcass_model.__wrapped__()  # its own, on the shared base: its bias is changed below
    ours = []
    theirs = []
    for path in carcass_photographs:
        picture = decode(path.read_bytes(), geometry=Geometry(CARCASS), max_pixels=MAX_PIXELS)
        ours.append(preprocess(picture, CARCASS).pixels)
        loaded = keras().utils.load_img(path, target_size=(373, 373), interpolation="nearest")
        theirs.append(keras().utils.img_to_array(loaded)[-224:, -224:] / np.float32(255))
    given = np.stack(theirs)
    # So that the photographs do not all fall into one class.
    model.layers[-1].bias.assign_sub(logits_of(model, given[::3]).mean(0))

    found = read_back(model, tmp_path / "weight.h5")
    logits, evidence = answers(served(found, RGB_255), np.stack(ours))
    probabilities = predicted(model, given)
    convolved = keras().Model(model.inputs, model.layers[1].output)
    kernel = np.asarray(model.layers[-1].get_weights()[0])  # (3 channels, 3 classes)
    maps = np.einsum("bhwc,ck->bkhw", predicted(convolved, given), kernel)
    errors = relative(softmax(logits), probabilities), relative(evidence, maps)
    print("carcass", errors, np.bincount(logits.argmax(1)))  # noqa: T201 - shown with -rP

    assert len(carcass_photographs) == 15
    assert len(set(logits.argmax(1).tolist())) > 1
    assert evidence.shape == (15, 3, 5, 5)
    assert logits.argmax(1).tolist() == probabilities.argmax(1).tolist()
    assert max(errors) <= PARITY


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("depth", ["ResNet101", "ResNet152"])
def test_a_deeper_resnet_answers_as_in_keras(
    depth: str, suffix: str, tmp_path: Path, record_parity: RecordParity
) -> None:
    """Behind the `preprocess_input` of a functional graph, which says caffe; the tutorial's single logit."""
    layers = keras().layers
    application = getattr(keras().applications, depth)
    entry = keras().Input((96, 96, 3))
    out = keras().applications.resnet.preprocess_input(entry)
    out = application(weights=None, include_top=False, pooling="avg", input_shape=(96, 96, 3))(out)
    model = keras().Model(entry, layers.Dense(1)(layers.Dropout(0.2)(out)))
    images = pictures(8, 96)
    with_random_head(made_random(model, images.astype(np.float32)), seed=4)

    found = read_back(model, tmp_path / f"best{suffix}")
    logits, _ = answers(served(found), images)
    error = relative(logits[:, 1] - logits[:, 0], predicted(model, images.astype(np.float32))[:, 0])
    print("parity", error)  # noqa: T201 - shown with -rP

    assert found.architecture == f"{depth.lower()}_v1"
    assert found.preprocessing.normalisation == CAFFE
    assert found.class_count == 2
    assert "taken as logits of a sigmoid" in found.warnings[0]
    assert error <= PARITY
    record_parity("Keras: ResNet101, ResNet152, caffe in the graph", error)


@pytest.mark.slow
def test_a_resnet50_with_its_own_top_answers_as_in_keras(tmp_path: Path, record_parity: RecordParity) -> None:
    """`include_top=True`: pooling and Dense are the application's own, no model is around it."""
    images = pictures(8, 96)
    given = images / np.float32(255)
    model = keras().applications.ResNet50(weights=None, include_top=True, classes=5, input_shape=(96, 96, 3))
    with_random_head(made_random(model, given), seed=6)

    found = read_back(model, tmp_path / "best.h5")
    logits, _ = answers(served(found, RGB_255), images)
    error = relative(logits, logits_of(model, given))

    assert (found.architecture, found.head, found.class_count) == ("resnet50_v1", LinearHead(), 5)
    assert error <= PARITY
    record_parity("Keras: ResNet50 with `include_top=True`", error)


@pytest.mark.parametrize("epsilon", [1e-3, 1.001e-5, 1e-7])
@pytest.mark.parametrize("has_bias", [True, False])
def test_another_epsilon_and_a_bias_are_folded_exactly(*, epsilon: float, has_bias: bool) -> None:
    """Against Keras' own layer; variances from tiny, where an epsilon counts, to large."""
    rng = np.random.default_rng(0)
    theirs = keras().layers.BatchNormalization(epsilon=epsilon)
    theirs.build((None, 1, 1, 6))
    weights = [rng.normal(1, 0.3, 6), rng.normal(0, 1, 6), rng.normal(0, 1, 6), np.geomspace(2e-5, 10, 6)]
    theirs.set_weights([each.astype(np.float32) for each in weights])
    bias = rng.normal(0, 1, 6).astype(np.float32) if has_bias else np.zeros(6, np.float32)
    layer = Layer(("n",), ("n",), "BatchNormalization", {"epsilon": epsilon}, (), None)
    stored = [
        Stored(("n",), name, array)
        for name, array in zip(
            ("gamma", "beta", "moving_mean", "moving_variance"), theirs.get_weights(), strict=True
        )
    ]
    values = rng.normal(0, 1, (9, 1, 1, 6)).astype(np.float32)

    ours = batch_normalisation(
        Arrays(stored),
        layer,
        torch.tensor(bias) if has_bias else None,
        channels=6,
        epsilon=BATCH_NORM_EPSILON,
    )

    expected = np.asarray(theirs(values + bias, training=False).detach())[:, 0, 0]
    found = torch.nn.functional.batch_norm(
        torch.tensor(values[:, 0, 0]),
        ours["running_mean"],
        ours["running_var"],
        ours["weight"],
        ours["bias"],
        eps=BATCH_NORM_EPSILON,
    )
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=2e-6 * np.abs(expected).max())
