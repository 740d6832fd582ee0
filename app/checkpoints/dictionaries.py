"""What a training dictionary says of itself beside its weights: who wrote it, class names, epoch.

entries as plain values -> words. Knows no tensors.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from app.checkpoints.pickled import Thing

CLASS_KEYS: Final = ("class_to_idx", "classes", "class_names", "labels", "vocab", "idx_to_class", "CLASSES")
DETAIL_KEYS: Final = (
    "epoch",
    "global_step",
    "arch",
    "best_acc",
    "metric",
    "pytorch-lightning_version",
    "version",
)


def opened(value: object) -> object:
    """The entries of a record that has some."""
    return value.items if isinstance(value, Thing) and value.items else value


def origin_of(value: Mapping[Any, Any]) -> str:
    """What wrote it, by the keys that it has."""
    if "pytorch-lightning_version" in value:
        return "Lightning checkpoint"
    if set(value) == {"model", "opt"}:
        return "fastai learn.save"
    if "arch" in value and "metric" in value:
        return "timm training checkpoint"
    return "training dictionary"


def details_of(value: Mapping[Any, Any]) -> dict[str, str]:
    """Epoch, version and the like, as words."""
    return {
        key: str(value[key])[:80]
        for key in DETAIL_KEYS
        if isinstance(value.get(key), str | int | float) and str(value[key]).isprintable()
    }


def classes_of(value: Mapping[Any, Any]) -> tuple[str, ...] | None:
    """Class names where they lie beside the weights as plain values, or where Lightning and OpenMMLab keep them."""
    meta = opened(value.get("meta"))
    dataset = meta.get("dataset_meta") if isinstance(meta, dict) else None
    for room in (
        value,
        value.get("hyper_parameters"),
        value.get("datamodule_hyper_parameters"),
        dataset,
        meta,
    ):
        content = opened(room)
        if not isinstance(content, dict):
            continue
        for key in CLASS_KEYS:
            found = _class_names(opened(content.get(key)))
            if found:
                return found
    return None


def classes_in_words(words: Mapping[str, str]) -> tuple[str, ...] | None:
    """Class names among the metadata of a safetensors file, which holds words alone: lists and numbers as JSON."""
    found: dict[str, Any] = {}
    for key in set(words) & set(CLASS_KEYS):
        with suppress(ValueError, RecursionError):
            found[key] = json.loads(words[key])
    return classes_of(found)


def _class_names(value: object) -> tuple[str, ...] | None:
    names: list[object] = []
    if isinstance(value, list | tuple):
        names = list(value)
    elif isinstance(value, dict):
        by_index = {int(key): name for key, name in value.items() if _is_index(key) and isinstance(name, str)}
        if len(by_index) != len(value):
            by_index = {index: name for name, index in value.items() if type(index) is int}
        if sorted(by_index, key=str) != sorted(range(len(value)), key=str):
            return None
        names = [by_index[index] for index in range(len(value))]
    if len(names) < 2 or not all(isinstance(name, str) for name in names):
        return None
    return tuple(str(name) for name in names)


def _is_index(key: object) -> bool:
    """JSON writes them as words."""
    return type(key) is int or (isinstance(key, str) and re.fullmatch(r"\d{1,6}", key, re.ASCII) is not None)
