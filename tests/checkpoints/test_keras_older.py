"""Promises of files that older versions wrote, rebuilt from what Keras 3 writes.

How they differ was read off files of TensorFlow 2.15, which answered the same when read by hand; 95 MB each,
they are not kept.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from support.keras_models import WARNINGS, carcass_model, keras, linear_model, mlp_model, read_back

from app.checkpoints.keras import KerasFound, read_keras

pytestmark = WARNINGS


def same(found: KerasFound, expected: KerasFound) -> bool:
    assert (found.architecture, found.head, found.class_count) == (
        expected.architecture,
        expected.head,
        expected.class_count,
    )
    assert (found.input_size, found.preprocessing) == (expected.input_size, expected.preprocessing)
    assert found.tensors.keys() == expected.tensors.keys()
    return all(torch.equal(found.tensors[name], expected.tensors[name]) for name in expected.tensors)


def reference(call: Any) -> list[Any]:
    """One argument as Keras 2 noted it; the node of a model used as a layer was 1."""
    name = call["config"]["keras_history"][0]
    return [name, 1 if name == "resnet50" else 0, 0, {}]


def as_keras_2(config: Any) -> Any:
    """The configuration of a model in the words of Keras 2."""
    for layer in config["config"]["layers"]:
        for word in ("module", "registered_name", "build_config"):
            layer.pop(word, None)
        if "batch_shape" in layer["config"]:
            layer["config"]["batch_input_shape"] = layer["config"].pop("batch_shape")
        if layer["class_name"] == "Functional":
            as_keras_2(layer)
        calls = layer.get("inbound_nodes", [])
        if calls:
            (arguments,) = calls[0]["args"]
            fed = arguments if isinstance(arguments, list) else [arguments]
            layer["inbound_nodes"] = [[reference(each) for each in fed]]
    if "output_layers" in config["config"]:
        config["config"]["output_layers"] = [config["config"]["output_layers"]]
    return config


def save_as_keras_2(model: Any, path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.3.0-tf"
        file.attrs["backend"] = "tensorflow"
        file.attrs["model_config"] = json.dumps(as_keras_2(json.loads(model.to_json()))).encode()
        weights = file.create_group("model_weights")
        for layer in model.layers:
            group = weights.create_group(layer.name)
            for variable in layer.weights:
                owner, _, name = variable.path.rpartition("/")
                group[f"{owner.rpartition('/')[2]}/{name}:0"] = np.asarray(variable)
        file.create_group("optimizer_weights/Adam").attrs["weight_names"] = [b"iter:0"]


def test_an_h5_of_tensorflow_2_reads_as_that_of_keras_3(tmp_path: Path) -> None:
    """The carcass model is of TensorFlow 2.3."""
    for build in (carcass_model, mlp_model):
        model = build()
        save_as_keras_2(model, tmp_path / "weight.h5")

        found = read_keras(tmp_path / "weight.h5")

        assert found.keras_version == "2.3.0-tf"
        assert same(found, read_back(model, tmp_path / "best.h5"))


def test_a_keras_file_whose_groups_have_no_names_is_read_by_class_and_position(tmp_path: Path) -> None:
    """Until Keras 3.5 or so. A layer's own name may then be another layer's position."""
    layers = keras().layers
    model = linear_model()
    renamed = layers.Dense(4, name="dense_1", activation="softmax")
    pooled = layers.GlobalAveragePooling2D()(model.layers[-3].output)
    model = keras().Model(model.input, renamed(layers.Dense(8, name="dense_7", activation="relu")(pooled)))
    expected = read_back(model, tmp_path / "best.keras")
    model.save(tmp_path / "named.keras")
    with (
        zipfile.ZipFile(tmp_path / "named.keras") as named,
        zipfile.ZipFile(tmp_path / "old.keras", "w") as old,
    ):
        weights = io.BytesIO(named.read("model.weights.h5"))
        with h5py.File(weights, "r+") as file:
            file.visititems(lambda _, at: at.attrs.pop("name", None) and None)
        old.writestr("config.json", named.read("config.json"))
        old.writestr("model.weights.h5", weights.getvalue())

    assert same(read_keras(tmp_path / "old.keras"), expected)
