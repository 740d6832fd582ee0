"""Promises of Keras files that are broken, hostile, or hold another network than we can serve."""

import io
import json
import random
import re
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support.keras_models import WARNINGS, carcass_model, keras, linear_model, resnet50

from app.checkpoints.keras import interpreted, read_keras
from app.checkpoints.keras_files import KerasFile, Stored, is_keras
from app.errors import WeightsRefused

pytestmark = WARNINGS


def refusal(path: Path) -> str:
    with pytest.raises(WeightsRefused) as caught:
        read_keras(path)
    message = caught.value.message
    assert message.startswith(path.name)
    assert str(path.parent) not in message
    assert len(message) < 600
    return message


def h5(path: Path, change: Callable[[h5py.File], object]) -> Path:
    """A whole model as .h5, with weights that `change` forges."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{}"
        file.attrs["keras_version"] = "2.3.0"
        file.create_group("model_weights/conv1")
        change(file)
    return path


def archive(
    path: Path, config: Any, *, weights: bytes | None = None, compression: int = zipfile.ZIP_STORED
) -> Path:
    """A .keras file with this configuration, and no weights unless given."""
    if weights is None:
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            file.create_group("layers")
        weights = buffer.getvalue()
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        file.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        file.writestr("model.weights.h5", weights)
    return path


# --- bytes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.9999])
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_truncated_file_is_refused(share: float, suffix: str, tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file["model_weights/conv1/kernel:0"] = np.ones((100, 100), np.float32)

    path = h5(tmp_path / "a.h5", fill)
    if suffix == ".keras":
        path = archive(tmp_path / "a.keras", {}, weights=path.read_bytes())
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])

    assert refusal(path)


def test_a_file_of_another_kind_is_refused_by_its_bytes(tmp_path: Path) -> None:
    picture = tmp_path / "weights.h5"
    picture.write_bytes(b"\xff\xd8\xff\xe0" + bytes(1000))

    assert "neither a Keras .h5 nor a .keras" in refusal(picture)
    assert not is_keras(picture)
    with zipfile.ZipFile(tmp_path / "torch.keras", "w") as file:
        file.writestr("archive/data.pkl", b"\x80\x02.")
    assert "not one that Keras saved" in refusal(tmp_path / "torch.keras")
    assert not is_keras(tmp_path / "torch.keras")
    assert is_keras(archive(tmp_path / "a.zip", {}))
    assert is_keras(h5(tmp_path / "a.pth", lambda _: None))


def test_links_and_numbers_in_other_files_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["kernel:0"] = np.ones(4, np.float32)
    raw = tmp_path / "secret.bin"
    raw.write_bytes(bytes(16))
    virtual = h5py.VirtualLayout((4,), np.float32)
    virtual[:] = h5py.VirtualSource(secret, "kernel:0", (4,))
    at = "model_weights/conv1/kernel:0"
    outside: dict[str, Callable[[h5py.File], object]] = {
        "ExternalLink": lambda file: file.__setitem__(at, h5py.ExternalLink(secret, "kernel:0")),
        "SoftLink": lambda file: file.__setitem__(at, h5py.SoftLink("/model_weights")),
        "lie in another file": lambda file: file.create_dataset(at, (4,), "f4", external=[(raw, 0, 16)]),
        "another file, which": lambda file: file.create_virtual_dataset(at, virtual),
        "not numbers": lambda file: file.create_dataset(at, (1,), h5py.ref_dtype),
        "in chunks": lambda file: file.create_dataset(at, (4,), "f4", compression="gzip"),
        "chunks; Keras": lambda file: file.create_dataset(at, (2**40,), "f4", chunks=(1024,)),
    }

    for number, (words, change) in enumerate(outside.items()):
        assert words in refusal(h5(tmp_path / f"{number}.h5", change))


def test_arrays_that_claim_more_than_the_file_holds_are_refused(tmp_path: Path) -> None:
    def claim(file: h5py.File) -> None:
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
        space = h5py.h5s.create_simple((400_000, 400_000))  # 640 GB
        group = file["model_weights/conv1"].id
        h5py.h5d.create(group, b"kernel:0", h5py.h5t.NATIVE_FLOAT, space, settings)

    assert "claims 640,000,000,000 bytes" in refusal(h5(tmp_path / "huge.h5", claim))


def test_groups_without_end_are_refused(tmp_path: Path) -> None:
    def circle(file: h5py.File) -> None:
        file["model_weights/conv1/again"] = file["model_weights"]

    assert "without end" in refusal(h5(tmp_path / "circle.h5", circle))


def test_a_zip_bomb_is_refused_unread(tmp_path: Path) -> None:
    bomb = archive(tmp_path / "bomb.keras", {}, weights=bytes(200 * 2**20), compression=zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 2**20
    assert "claim more than the file holds" in refusal(bomb)

    forged = archive(tmp_path / "forged.keras", {})
    data = bytearray(forged.read_bytes())
    at = data.rindex(b"PK\x01\x02")  # the last entry of the directory: the weights
    struct.pack_into("<II", data, at + 20, 2**31, 2**31)
    forged.write_bytes(data)
    assert "claim more than the file holds" in refusal(forged)


@pytest.mark.parametrize(
    "config",
    ["[" * 100_000, "[]", '{"class_name": "Functional"', '{"class_name": "Functional", "config": 3}'],
)
def test_a_configuration_that_is_none_is_refused(config: str, tmp_path: Path) -> None:
    assert refusal(archive(tmp_path / "a.keras", config))


def test_bytes_that_send_the_library_into_a_loop_are_refused_in_time(tmp_path: Path) -> None:
    """libhdf5 2.0 loops for ever on a text of a forged length; a child process does so in our place."""
    path = h5(tmp_path / "loop.h5", lambda _: None)
    data = bytearray(path.read_bytes())
    at = data.index(b"GCOL")  # where texts lie; the first one's length is 24 bytes on
    data[at + 24] = 0x35
    path.write_bytes(data)

    with pytest.raises(WeightsRefused, match=r"loop.h5: could not be read in 3 s; damaged or forged"):
        read_keras(path, patience_s=3.0)


def test_the_child_that_reads_first_has_little_memory(tmp_path: Path) -> None:
    """libhdf5 may ask for anything on forged bytes: here the child does, once the file is read."""
    path = h5(tmp_path / "a.h5", lambda _: None)
    program = (
        "import pathlib, sys; from app.checkpoints.keras_probe import main; print(main(pathlib.Path(sys.argv[1])));"
        "bytearray(3 * 2**30)"
    )

    child = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )

    assert child.stdout.strip() == "0"
    assert "MemoryError" in child.stderr
    assert child.returncode == 1


@pytest.mark.fuzz
def test_flipped_bytes_never_raise_anything_else(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        for name in ("kernel:0", "bias:0"):
            file[f"model_weights/conv1/{name}"] = np.ones((64, 3), np.float32)

    data = h5(tmp_path / "a.h5", fill).read_bytes()
    dice = random.Random(0)  # noqa: S311 - no secret
    for _ in range(300):
        forged = bytearray(data)
        for _ in range(dice.randint(1, 8)):
            forged[dice.randrange(len(forged))] = dice.randrange(256)
        (tmp_path / "a.h5").write_bytes(forged)
        with pytest.raises(WeightsRefused):
            read_keras(tmp_path / "a.h5", patience_s=5.0)


# --- networks ------------------------------------------------------------------------------------


def refused(config: Any, stored: tuple[Stored, ...] = ()) -> str:
    with pytest.raises(WeightsRefused) as caught:
        interpreted(KerasFile("a test's", None, config, stored))
    return caught.value.message


def config_of(model: Any) -> Any:
    return json.loads(_text_of(model))


@cache
def _text_of(model: Any) -> str:
    return str(model.to_json())


def layer_named(config: Any, name: str) -> Any:
    for layer in config["config"]["layers"]:
        if layer["config"].get("name") == name:
            return layer
        if layer["class_name"] == "Functional" and (inner := layer_named(layer, name)):
            return inner
    return None


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("conv3_block1_1_conv", {"strides": [1, 1]}, r"has strides = \[1, 1\], a ResNet of Keras \[2, 2\]"),
        ("conv3_block1_2_conv", {"strides": [2, 2]}, "has strides"),
        ("conv4_block2_2_conv", {"dilation_rate": [2, 2]}, "has dilation_rate"),
        ("conv2_block1_2_conv", {"padding": "valid"}, "has padding"),
        ("conv1_pad", {"padding": [[2, 3], [2, 3]]}, "has padding"),
        ("pool1_pool", {"pool_size": [2, 2]}, "has pool_size"),
        ("conv1_conv", {"data_format": "channels_first"}, "has data_format"),
        (
            "conv5_block3_out",
            {"activation": "gelu"},
            "has a ReLU, this network Activation 'conv5_block3_out'",
        ),
    ],
)
def test_a_resnet_that_would_answer_otherwise_is_refused_by_its_layer(
    name: str, change: dict[str, Any], words: str
) -> None:
    """All of these have the tensors of a ResNet50; a strict load of them would succeed."""
    config = config_of(linear_model())
    layer_named(config, name)["config"].update(change)

    message = refused(config)

    assert name in message
    assert re.search(words, message)


def test_batch_statistics_of_training_are_refused(tmp_path: Path) -> None:
    entry = keras().Input((224, 224, 3))
    out = keras().layers.GlobalAveragePooling2D()(resnet50()(entry, training=True))
    model = keras().Model(entry, keras().layers.Dense(3)(out))

    assert "called with training=True" in refused(config_of(model))


def test_classes_of_somebodys_own_are_refused_by_name(tmp_path: Path) -> None:
    config = config_of(carcass_model())
    layer_named(config, "head_conv").update(module="evil.code", registered_name="evil>Conv2D")
    assert "'head_conv' is of a class 'Conv2D' of its own" in refused(config)

    config = config_of(carcass_model())
    layer_named(config, "head_conv").update(
        class_name="Lambda", config={"name": "l", "function": "__import__"}
    )
    assert "Lambda 'l' behind the ResNet" in refused(config)


HEADS: list[tuple[str, Callable[[Any], list[Any]]]] = [
    ("Flatten 'flatten.*': a head on flattened features", lambda k: [k.Flatten(), k.Dense(3, activation="softmax")]),
    ("GlobalMaxPooling2D", lambda k: [k.GlobalMaxPooling2D(), k.Dense(3)]),
    ("padding = 'same'", lambda k: [k.Conv2D(3, 3, padding="same", activation="relu"), k.GlobalAveragePooling2D(), k.Dense(3)]),
    ("has no ReLU behind it", lambda k: [k.Conv2D(3, 3), k.GlobalAveragePooling2D(), k.Dense(3)]),
    ("without a head", lambda _: []),
    ("no Dense layer", lambda k: [k.GlobalAveragePooling2D()]),
    ("BatchNormalization 'batch_norm.*' in the head", lambda k: [k.GlobalAveragePooling2D(), k.BatchNormalization(), k.Dense(3)]),
    ("has tanh|not ReLU", lambda k: [k.GlobalAveragePooling2D(), k.Dense(4, activation="tanh"), k.Dense(3)]),
    ("4 outputs with a sigmoid each", lambda k: [k.GlobalAveragePooling2D(), k.Dense(4, activation="sigmoid")]),
]  # fmt: skip


@pytest.mark.parametrize(("words", "build"), HEADS, ids=[words for words, _ in HEADS])
def test_a_head_that_cannot_be_served_is_refused_by_name(
    words: str, build: Callable[[Any], list[Any]]
) -> None:
    model = keras().Sequential([keras().Input((7, 7, 2048)), *build(keras().layers)])
    stored = tuple(
        Stored((layer.name,), str(number), np.asarray(value))
        for layer in model.layers
        for number, value in enumerate(layer.weights)
    )
    config = config_of(model)
    config["config"]["layers"][:1] = config_of(carcass_model())["config"]["layers"][:2]  # input and ResNet

    assert re.search(words, refused(config, stored))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MobileNetV2", "its base is MobileNetV2, which is not converted: its convolutions of stride 2 pad"),
        ("EfficientNetB0", "its base is EfficientNet"),
        ("ResNet50V2", "its base is ResNetV2"),
        ("VGG16", "has ZeroPadding2D, this network Conv2D 'block1_conv1'"),
        pytest.param("Xception", "its base is Xception", marks=pytest.mark.slow),
        pytest.param("EfficientNetB6", "its base is EfficientNet", marks=pytest.mark.slow),
    ],
)
def test_another_base_is_refused_with_what_differs(name: str, words: str) -> None:
    base = getattr(keras().applications, name)(weights=None, include_top=False, input_shape=(96, 96, 3))
    model = keras().Sequential([base, keras().layers.GlobalAveragePooling2D(), keras().layers.Dense(3)])

    assert words in refused(config_of(model))
