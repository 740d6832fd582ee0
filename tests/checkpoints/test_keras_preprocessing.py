"""Promises of what a Keras graph says of pixels: the arithmetic found is the arithmetic Keras does."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.keras_models import WARNINGS, keras, predicted

from app.checkpoints.keras_arrays import Arrays
from app.checkpoints.keras_files import Stored
from app.checkpoints.keras_graph import read_graph
from app.checkpoints.keras_preprocess import CAFFE, RGB_255, KerasPreprocessing, find_preprocessing
from app.domain import Normalisation
from app.errors import WeightsRefused

pytestmark = WARNINGS

Operation = Callable[[Any], Any]
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.float32)


def build(operation: Operation) -> Any:
    entry = keras().Input((8, 8, 3))
    return keras().Model(entry, keras().layers.ZeroPadding2D(3)(operation(entry)))


def found_in(config: Any, stored: tuple[Stored, ...] = ()) -> KerasPreprocessing:
    return find_preprocessing(read_graph(config), Arrays(stored))[0]


def applied(pixels: Any, how: Normalisation) -> Any:
    ordered = pixels[..., ::-1] if how.channels == "BGR" else pixels
    return (ordered * how.scale - np.array(how.mean)) / np.array(how.std)


def layer(name: str, *settings: Any, **named: Any) -> Operation:
    def apply(x: Any) -> Any:
        return getattr(keras().layers, name)(*settings, **named)(x)

    return apply


def preprocess_input(application: str) -> Operation:
    def apply(x: Any) -> Any:
        return getattr(keras().applications, application).preprocess_input(x)

    return apply


def augmented(x: Any) -> Any:
    return keras().Sequential([keras().layers.RandomFlip(), keras().layers.RandomRotation(0.1)])(x)


OPERATIONS: dict[str, Operation] = {
    "caffe": preprocess_input("resnet50"),
    "tf": preprocess_input("mobilenet_v2"),
    "torch": preprocess_input("densenet"),
    "Rescaling": layer("Rescaling", 1 / 255),
    "Rescaling with offset": layer("Rescaling", 1 / 127.5, offset=-1),
    "Normalization": layer("Normalization", mean=[9.0, 8.0, 7.0], variance=[4.0, 9.0, 16.0]),
    "both layers": lambda x: layer("Normalization", mean=[0.4, 0.5, 0.6], variance=[0.04, 0.09, 0.16])(
        layer("Rescaling", 1 / 255)(x)
    ),
    "augmented": lambda x: layer("Rescaling", 1 / 255)(augmented(x)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_arithmetic_in_the_graph_is_found_as_keras_computes_it(name: str) -> None:
    model = build(OPERATIONS[name])
    found = found_in(json.loads(model.to_json()))
    assert found.normalisation is not None

    ours = np.pad(applied(PIXELS, found.normalisation), ((0, 0), (3, 3), (3, 3), (0, 0)))

    np.testing.assert_allclose(ours, predicted(model, PIXELS), rtol=1e-5, atol=1e-4)


def test_well_known_schemes_have_their_names_and_exact_constants() -> None:
    def scheme(name: str) -> KerasPreprocessing:
        return found_in(json.loads(build(OPERATIONS[name]).to_json()))

    assert scheme("caffe") == KerasPreprocessing("caffe", CAFFE)
    assert scheme("Rescaling") == scheme("augmented") == KerasPreprocessing("RGB/255", RGB_255)
    assert scheme("tf").scheme == "graph"
    assert found_in(json.loads(build(lambda x: x).to_json())) == KerasPreprocessing("unknown", None)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (lambda x: x[..., ::-1] / 255.0 - 0.5, PIXELS[..., ::-1] / 255 - 0.5),
        (
            lambda x: preprocess_input("resnet50")(x)[..., ::-1] * 2.0,
            2 * (PIXELS - [123.68, 116.779, 103.939]),
        ),
    ],
    ids=["once", "twice"],
)
def test_channels_reversed_by_a_slice_are_followed(operation: Operation, expected: Any) -> None:
    """Against NumPy: torch, and so Keras on it, cannot run a slice with a negative step."""
    found = found_in(json.loads(build(operation).to_json())).normalisation

    assert found is not None
    np.testing.assert_allclose(applied(PIXELS, found), expected, rtol=1e-5, atol=1e-4)


def test_statistics_that_a_layer_learnt_are_read_from_the_weights() -> None:
    layer = keras().layers.Normalization(name="learnt")
    layer.adapt(PIXELS)
    model = build(layer)
    stored = tuple(
        Stored(("learnt",), name, np.asarray(getattr(layer, f"adapt_{name}")))
        for name in ("mean", "variance")
    )
    found = found_in(json.loads(model.to_json()), stored)
    assert found.normalisation is not None

    ours = np.pad(applied(PIXELS, found.normalisation), ((0, 0), (3, 3), (3, 3), (0, 0)))

    np.testing.assert_allclose(ours, predicted(model, PIXELS), rtol=1e-5, atol=1e-4)


TF_CAFFE = [
    ("SlicingOpLambda", "__operators__.getitem", {"slice_spec": [{"class_name": "__ellipsis__"}, {"start": None, "stop": None, "step": -1}]}),
    ("TFOpLambda", "nn.bias_add", {"bias": [-103.93900299072266, -116.77899932861328, -123.68000030517578], "data_format": "NHWC"}),
]  # fmt: skip
TF_TORCH = [
    ("TFOpLambda", "math.truediv", {"y": 255.0, "name": None}),
    ("TFOpLambda", "nn.bias_add", {"bias": [-0.48500001430511475, -0.4560000002384186, -0.4059999883174896], "data_format": "NHWC"}),
    ("TFOpLambda", "math.truediv", {"y": [0.2290000021457672, 0.2240000069141388, 0.22499999403953552], "name": None}),
]  # fmt: skip
TF_BY_HAND = [
    ("TFOpLambda", "math.truediv", {"y": 255.0, "name": None}),
    ("TFOpLambda", "math.subtract", {"y": 0.5, "name": None}),
    ("TFOpLambda", "math.multiply", {"y": 2.0, "name": None}),
]


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        (TF_CAFFE, CAFFE),
        (TF_TORCH, Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))),
        (TF_BY_HAND, Normalisation(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))),
    ],
    ids=["caffe", "torch", "by hand"],
)
def test_operations_of_tensorflow_are_understood(operations: Any, expected: Normalisation) -> None:
    """The configurations are those that TensorFlow 2.15 wrote."""
    layers: list[Any] = [
        {
            "class_name": "InputLayer",
            "config": {"batch_input_shape": [None, 8, 8, 3], "name": "input_1"},
            "name": "input_1",
            "inbound_nodes": [],
        }
    ]
    for number, (kind, function, keywords) in enumerate(operations):
        before = layers[-1]["name"]
        config = {"name": f"op{number}", "trainable": True, "dtype": "float32", "function": function}
        layers.append(
            {
                "class_name": kind,
                "config": config,
                "name": f"op{number}",
                "inbound_nodes": [[before, 0, 0, keywords]],
            }
        )
    end = {"class_name": "ZeroPadding2D", "config": {"name": "conv1_pad", "padding": [[3, 3], [3, 3]]}}
    layers.append({**end, "name": "conv1_pad", "inbound_nodes": [[[layers[-1]["name"], 0, 0, {}]]]})
    config = {
        "class_name": "Functional",
        "config": {"layers": layers, "output_layers": [["conv1_pad", 0, 0]]},
    }

    found = found_in(config).normalisation

    assert found is not None
    np.testing.assert_allclose(applied(PIXELS, found), applied(PIXELS, expected), rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (layer("Resizing", 8, 8), "Resizing 'resizing.*' stands before the network"),
        (layer("CenterCrop", 8, 8), "CenterCrop"),
        (lambda x: 1.0 - x, "constant first"),
        (lambda x: x[..., 0:3], "slices the picture"),
        (lambda x: x * 0.0, "multiplies by zero"),
        (lambda x: keras().layers.Add()([x, keras().layers.Rescaling(2.0)(x)]), "feeds"),
    ],
    ids=["Resizing", "CenterCrop", "1 - x", "slice", "times 0", "branches"],
)
def test_what_a_manifest_cannot_say_is_refused_by_name(operation: Operation, words: str) -> None:
    with pytest.raises(WeightsRefused, match=words):
        found_in(json.loads(build(operation).to_json()))
