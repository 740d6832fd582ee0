"""Model folders: config.json beside model.safetensors, as Transformers and timm save them.

folder, or the weights in one -> tensors, class names, preprocessing -> Found. JSON and numbers only; `config.json`
may name code, which is never looked at. Preprocessing: folder_steps.py.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from app.checkpoints.convert import converted
from app.checkpoints.folder_steps import hugging_face_steps, timm_evaluations
from app.checkpoints.found import Answers, Found, Note, Preprocessing, Question
from app.checkpoints.torch_files import open_legacy, open_zip
from app.checkpoints.unwrap import Raw, unwrap
from app.checkpoints.weights import read_weights
from app.domain import Crop
from app.errors import WeightsRefused

CONFIG: Final = "config.json"
PREPROCESSOR: Final = "preprocessor_config.json"
BOTTLENECK: Final = re.compile(r"(^|\.)encoder\.stages\.0\.layers\.0\.layer\.2\.convolution\.weight$")
"""A third convolution in a block, under Transformers' name."""
MAX_JSON_BYTES: Final = 8 * 2**20
WEIGHT_FILES: Final = ("model.safetensors", "pytorch_model.bin")
PLAIN_ARGUMENTS: Final = frozenset({"num_classes", "in_chans", "global_pool", "drop_rate", "drop_path_rate"})
"""Of timm's model_args: they show in the tensors, are checked beside them, or change only training."""
CENTRE: Final = (
    "Transformers rounds the centre crop's corner down, torchvision to the nearest: where the resized side exceeds the "
    "crop by 3, 7, 11, ... pixels, the crop lies one pixel further"
)

BESIDE: Final = Note("took", f"{CONFIG} beside it: read as their folder is")
BACK_END: Final = (
    "pictures are resized as its Pillow processor does it; its torchvision one differs by one or "
    "two grey levels in some 0.2 % of the values, and the configuration does not say which of them was used"
)


def is_model_folder(path: Path) -> bool:
    """Whether it holds a configuration and weights, or is the weights of such a folder."""
    if path.is_dir():
        return (path / CONFIG).is_file() and any((path / name).is_file() for name in WEIGHT_FILES)
    return path.name in WEIGHT_FILES and _is_configured(path.parent)


def _is_configured(folder: Path) -> bool:
    """Whether the config.json in it is of one of these libraries: training scripts have such files too."""
    try:
        config = _json(folder / CONFIG)
    except WeightsRefused:
        return False
    return _is_of_a_library(config)


def _is_of_a_library(config: Mapping[str, Any]) -> bool:
    """Transformers notes its version beside the type of the model, which a script may write as well."""
    return "pretrained_cfg" in config or {"model_type", "transformers_version"} <= set(config)


def read_folder(path: Path, answers: Answers) -> Found:
    """Raises WeightsRefused."""
    folder, notes = (path, ()) if path.is_dir() else (path.parent, (BESIDE,))
    config = _json(folder / CONFIG)
    weights = path if notes else next(path / name for name in WEIGHT_FILES if (path / name).is_file())
    found = _read(path, folder, weights, config, answers)
    return replace(found, notes=(*notes, *found.notes))


def _read(path: Path, folder: Path, weights: Path, config: Mapping[str, Any], answers: Answers) -> Found:
    if "pretrained_cfg" in config:
        return _timm(config, weights, answers)
    kind = config.get("model_type")
    if kind != "resnet":
        if not _is_of_a_library(config):
            raise WeightsRefused(
                f"{path.name}: its {CONFIG} is neither Transformers' nor timm's; name the weights alone: "
                f"{path.name}/{weights.name}"
            )
        raise WeightsRefused(f"{path.name}: a Transformers model of type {kind!r}; resnet is read")
    if config.get("downsample_in_bottleneck") or config.get("downsample_in_first_stage"):
        raise WeightsRefused(
            f"{path.name}: downsample_in_bottleneck or downsample_in_first_stage is set: its strides stand elsewhere "
            "than torchvision's (v1, not v1.5); the tensors would fit and the answers would be wrong"
        )
    if config.get("hidden_act", "relu") != "relu":
        raise WeightsRefused(f"{path.name}: its activation is {config['hidden_act']!r}; only relu is served")
    _check_task(path, config)
    processor = _json(folder / PREPROCESSOR) if (folder / PREPROCESSOR).is_file() else None
    preprocessing = hugging_face_steps(processor) if processor is not None else None
    doubts = () if preprocessing is None else (BACK_END, CENTRE) if _crops(preprocessing) else (BACK_END,)
    details = (
        {"transformers": str(config["transformers_version"])} if "transformers_version" in config else {}
    )
    raw = Raw(
        "Transformers ResNet",
        _weights(weights, answers),
        classes=_labels(config.get("id2label")),
        details=details,
        notes=tuple(Note("warning", doubt) for doubt in doubts),
    )
    return converted(raw, f"folder with {weights.name}", answers, preprocessing=preprocessing)


def _check_task(path: Path, config: Mapping[str, Any]) -> None:
    """Only one class of several is served, or the one of two that a single output says: raises WeightsRefused."""
    task, labels = config.get("problem_type"), config.get("id2label")
    is_single = isinstance(labels, dict) and len(labels) == 1
    if task in {None, "single_label_classification"} or (task == "multi_label_classification" and is_single):
        return
    raise WeightsRefused(
        f"{path.name}: problem_type = {ascii(task)[:60]} in {CONFIG}; what is served is one class of several, by softmax. If "
        f"that is what it was trained for, take problem_type out of {CONFIG}"
    )


def asked_for_version(found: Found, names: Iterable[str], answers: Answers) -> Found:
    """Without its configuration, a bottleneck ResNet of Transformers may be of either version: a question."""
    if answers.architecture is not None or not any(BOTTLENECK.search(name) for name in names):
        return found
    name = (*found.architectures, "resnet50")[0]
    question = Question(
        f"whether {CONFIG}, which belongs beside these weights, says downsample_in_bottleneck: the same tensors, other "
        "strides (v1); with that file in their folder nothing is asked",
        f"--architecture {name} (v1.5, as Transformers builds it by default), or --architecture {name}_v1",
    )
    return replace(found, questions=(*found.questions, question))


def _weights(path: Path, answers: Answers) -> Mapping[str, Any]:
    """The tensors of safetensors or pytorch_model.bin, told by the bytes."""
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(b"PK"):
        return unwrap(open_zip(path), answers).tensors
    if start.startswith(b"\x80"):
        return unwrap(open_legacy(path), answers).tensors
    return read_weights(path)


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise WeightsRefused(f"{path.name}: larger than {MAX_JSON_BYTES // 2**20} MiB")
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsRefused(f"{path.name}: not readable JSON") from error
    if not isinstance(value, dict):
        raise WeightsRefused(f"{path.name}: not a JSON object")
    return value


def _labels(id2label: object) -> tuple[str, ...] | None:
    """Class names in the order of their numbers; none where they are the library's LABEL_0, LABEL_1."""
    if not isinstance(id2label, dict) or sorted(id2label) != sorted(map(str, range(len(id2label)))):
        return None
    names = tuple(str(id2label[str(index)]) for index in range(len(id2label)))
    return None if all(name == f"LABEL_{index}" for index, name in enumerate(names)) else names


def _crops(preprocessing: Preprocessing) -> bool:
    return isinstance(preprocessing.geometry.steps[-1], Crop)


# --- timm --------------------------------------------------------------------------------------


def _timm(config: Mapping[str, Any], weights: Path, answers: Answers) -> Found:
    """What `timm.models.save_for_hf` wrote; raises WeightsRefused."""
    pretrained = config["pretrained_cfg"]
    if not isinstance(pretrained, dict):
        raise WeightsRefused(f"{CONFIG}: pretrained_cfg is not an object")
    if config.get("global_pool", pretrained.get("pool", "avg")) not in {"avg", ""}:
        raise WeightsRefused(
            f"{CONFIG}: global_pool = {config['global_pool']!r}; only average pooling is served"
        )
    arguments = config.get("model_args") or {}
    strange = sorted(set(arguments) - PLAIN_ARGUMENTS) if isinstance(arguments, dict) else ["model_args"]
    if strange:
        raise WeightsRefused(
            f"{CONFIG}: {', '.join(strange)[:200]} may change the network beyond its tensors"
        )
    choices = timm_evaluations(pretrained)
    raw = Raw(
        f"timm {str(config.get('architecture', '?'))[:60]}",
        _weights(weights, answers),
        classes=_timm_labels(config, pretrained),
        details={"architecture": str(config.get("architecture"))[:80]},
    )
    found = converted(raw, f"folder with {weights.name}", answers)
    return replace(
        found,
        preprocessing=next(iter(choices.values())) if len(choices) == 1 else None,
        choices=choices,
    )


def _timm_labels(config: Mapping[str, Any], pretrained: Mapping[str, Any]) -> tuple[str, ...] | None:
    names = config.get("label_names") or pretrained.get("label_names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names)
