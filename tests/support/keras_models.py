"""Networks in real Keras (torch back end) with random weights that look trained, and what Keras answers.

Keras is slow to build, so each network is made once per session; tests must leave it as it is.
"""

import importlib
import os
from functools import cache
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"  # before the first import of Keras, which reads it once

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from app.checkpoints.keras import KerasFound, read_keras

Floats = NDArray[np.float32]
Pictures = NDArray[np.uint8]
SIDE = 224


WARNINGS = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
"""Keras' own, with the torch back end and NumPy 2; not ours to mend."""


@cache
def keras() -> Any:
    return importlib.import_module("keras")


@cache
def pictures(count: int = 4, side: int = SIDE) -> Pictures:
    """Blobs of colour under noise, (count, side, side, 3): noise alone leaves every cell alike."""
    rng = np.random.default_rng(5)
    coarse = torch.tensor(rng.uniform(0, 255, (count, 3, 7, 7)), dtype=torch.float32)
    soft = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").permute(0, 2, 3, 1)
    return (soft.numpy() + rng.normal(0, 40, soft.shape)).clip(0, 255).astype(np.uint8)


def made_random(model: Any, images: Floats, *, seed: int = 0) -> Any:
    """Biases, gains and offsets that are not Keras' zeros and ones, and batch statistics of these images."""
    layers = keras().layers
    rng = np.random.default_rng(seed)
    norms = []
    for layer in model._flatten_layers(include_self=False, recursive=True):  # noqa: SLF001 - the only way to all
        if isinstance(layer, layers.Conv2D | layers.Dense) and layer.use_bias:
            layer.bias.assign(rng.normal(0, 0.2, layer.bias.shape))
        if isinstance(layer, layers.BatchNormalization):
            # Small at the end of a block, as in trained networks; large ones make chaos of rounding errors.
            low, high = (0.1, 0.4) if layer.name.endswith("_3_bn") else (0.6, 1.2)
            layer.gamma.assign(rng.uniform(low, high, layer.gamma.shape))
            layer.beta.assign(rng.normal(0, 0.2, layer.beta.shape))
            layer.momentum, momentum = 0.0, layer.momentum  # one pass, and its statistics are the moving ones
            norms.append((layer, momentum))
    with torch.no_grad():
        model(images, training=True)
    for layer, momentum in norms:
        layer.momentum = momentum
    return model


@cache
def resnet50() -> Any:
    """ResNet50 without a head, for 224 x 224, its statistics those of pixels in [0, 1]."""
    base = keras().applications.ResNet50(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3))
    return made_random(base, pictures() / np.float32(255))


def with_random_head(model: Any, *, seed: int) -> Any:
    """Weights of the layers behind the network, large enough for the classes to differ."""
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers(include_self=False, recursive=True):  # noqa: SLF001 - the only way to all
        if isinstance(layer, keras().layers.Dense) or layer.name == "head_conv":
            fan_in = int(np.prod(layer.kernel.shape[:-1]))
            layer.kernel.assign(rng.normal(0, 2 / np.sqrt(fan_in), layer.kernel.shape))
            layer.bias.assign(rng.normal(0, 0.3, layer.bias.shape))
    return model


@cache
def carcass_model() -> Any:
    """The original's network: Sequential of ResNet50, Conv2D, pooling and Dense."""
    layers = keras().layers
    model = keras().Sequential(
        [
            resnet50(),
            layers.Conv2D(3, (3, 3), activation="relu", name="head_conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    return with_random_head(model, seed=1)


@cache
def linear_model() -> Any:
    """The head attached to the base's own tensors: one flat graph."""
    layers = keras().layers
    base = resnet50()
    pooled = layers.GlobalAveragePooling2D()(base.output)
    return with_random_head(keras().Model(base.input, layers.Dense(4, activation="softmax")(pooled)), seed=2)


@cache
def mlp_model() -> Any:
    """The base as one layer of a functional graph, behind its own rescaling, before dropouts and an MLP."""
    layers = keras().layers
    entry = keras().Input((SIDE, SIDE, 3))
    out = layers.RandomFlip("horizontal")(entry)
    out = resnet50()(layers.Rescaling(1 / 255)(out), training=False)
    out = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(out))
    out = layers.Dropout(0.3)(layers.Dense(16, activation="relu")(out))
    return with_random_head(keras().Model(entry, layers.Dense(3, activation="softmax")(out)), seed=3)


def predicted(model: Any, images: Floats) -> Floats:
    """What `predict` answers, (B, K)."""
    return np.asarray(model.predict(images, batch_size=4, verbose=0), dtype=np.float32)


def logits_of(model: Any, images: Floats) -> Floats:
    """The last Dense layer before its softmax, (B, K)."""
    *_, last = model.layers
    kernel, bias = (np.asarray(each) for each in last.get_weights())
    inner = keras().Model(model.inputs, last.input)
    return predicted(inner, images) @ kernel + bias


def read_back(model: Any, path: Path) -> KerasFound:
    """Saved by Keras, read by us; the file (0.1 GB) does not stay."""
    model.save_weights(path) if ".weights." in path.name else model.save(path)
    try:
        return read_keras(path)
    finally:
        path.unlink()
