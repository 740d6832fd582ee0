"""Model folders: config.json beside model.safetensors, as Transformers and timm save them.

folder -> tensors, class names, preprocessing -> Found. JSON and numbers only; `config.json` may name code, which
is never looked at.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from app.checkpoints.convert import converted
from app.checkpoints.found import Answers, Found, Note, Preprocessing
from app.checkpoints.torch_files import open_legacy, open_zip
from app.checkpoints.unwrap import Raw, unwrap
from app.checkpoints.weights import read_weights
from app.domain import Crop, Geometry, Interpolation, Normalisation, Resize, ResizeShorter, Size, Step
from app.errors import WeightsRefused

CONFIG: Final = "config.json"
PREPROCESSOR: Final = "preprocessor_config.json"
MAX_JSON_BYTES: Final = 8 * 2**20
WEIGHT_FILES: Final = ("model.safetensors", "pytorch_model.bin")
PILLOW: Final[dict[int, Interpolation]] = {
    0: "nearest",
    1: "lanczos",
    2: "bilinear",
    3: "bicubic",
    4: "box",
    5: "hamming",
}
NAMED: Final[dict[str, Interpolation]] = {name: name for name in PILLOW.values()}
PLAIN_ARGUMENTS: Final = frozenset({"num_classes", "in_chans", "global_pool", "drop_rate", "drop_path_rate"})
"""Of timm's model_args: they show in the tensors, are checked beside them, or change only training."""
CENTRE: Final = (
    "Transformers rounds the centre crop's corner down, torchvision to the nearest: where the resized side exceeds the "
    "crop by 3, 7, 11, ... pixels, the crop lies one pixel further"
)

BACK_END: Final = (
    "pictures are resized as its Pillow processor does it; its torchvision one differs by one or "
    "two grey levels in some 0.2 % of the values, and the configuration does not say which of them was used"
)


def is_model_folder(path: Path) -> bool:
    """Whether it holds a configuration and weights."""
    return (
        path.is_dir() and (path / CONFIG).is_file() and any((path / name).is_file() for name in WEIGHT_FILES)
    )


def read_folder(path: Path, answers: Answers) -> Found:
    """Raises WeightsRefused."""
    config = _json(path / CONFIG)
    weights = next(path / name for name in WEIGHT_FILES if (path / name).is_file())
    if "pretrained_cfg" in config:
        return _timm(config, weights, answers)
    kind = config.get("model_type")
    if kind != "resnet":
        raise WeightsRefused(f"{path.name}: a Transformers model of type {kind!r}; resnet is read")
    if config.get("downsample_in_bottleneck") or config.get("downsample_in_first_stage"):
        raise WeightsRefused(
            f"{path.name}: downsample_in_bottleneck or downsample_in_first_stage is set: its strides stand elsewhere "
            "than torchvision's (v1, not v1.5); the tensors would fit and the answers would be wrong"
        )
    if config.get("hidden_act", "relu") != "relu":
        raise WeightsRefused(f"{path.name}: its activation is {config['hidden_act']!r}; only relu is served")
    processor = _json(path / PREPROCESSOR) if (path / PREPROCESSOR).is_file() else None
    preprocessing = _hugging_face_steps(processor) if processor is not None else None
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


def _hugging_face_steps(config: Mapping[str, Any]) -> Preprocessing | None:
    """What an image processor of Transformers does; None where it is another than those known."""
    size = config.get("size")
    size = {"shortest_edge": size} if isinstance(size, int) else size
    interpolation = PILLOW.get(config.get("resample", -1))
    if not isinstance(size, dict) or interpolation is None or not config.get("do_resize", True):
        return None
    steps: list[Step]
    edge, kind = size.get("shortest_edge"), str(config.get("image_processor_type", ""))
    if isinstance(edge, int) and kind.startswith("ConvNext"):
        if edge < 384:
            shorter = int(edge / float(config.get("crop_pct") or 224 / 256))
            steps = [ResizeShorter(shorter, interpolation), Crop(Size(edge, edge), "center")]
        else:
            steps = [Resize(Size(edge, edge), interpolation)]
    elif isinstance(edge, int) and config.get("do_center_crop"):
        crop = config.get("crop_size")
        crop = {"height": crop, "width": crop} if isinstance(crop, int) else crop
        if not isinstance(crop, dict) or not all(isinstance(crop.get(k), int) for k in ("height", "width")):
            return None
        steps = [ResizeShorter(edge, interpolation), Crop(Size(crop["height"], crop["width"]), "center")]
    elif all(isinstance(size.get(k), int) for k in ("height", "width")) and not config.get("do_center_crop"):
        steps = [Resize(Size(size["height"], size["width"]), interpolation)]
    else:
        return None
    scale = float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if config.get("do_normalize", True):
        mean, std = _triple(config.get("image_mean")), _triple(config.get("image_std"))
    return Preprocessing(
        Geometry(tuple(steps)), Normalisation("RGB", scale, mean, std), f"{PREPROCESSOR}, {kind}"
    )


def _triple(value: object) -> tuple[float, float, float]:
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise WeightsRefused(
            "three numbers are needed for each of mean and std in the folder's configuration"
        )
    red, green, blue = (float(number) for number in value)
    return red, green, blue


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
    choices = _timm_evaluations(pretrained)
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
        choices=choices if len(choices) > 1 else {},
    )


def _timm_labels(config: Mapping[str, Any], pretrained: Mapping[str, Any]) -> tuple[str, ...] | None:
    names = config.get("label_names") or pretrained.get("label_names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names)


def _timm_evaluations(pretrained: Mapping[str, Any]) -> dict[str, Preprocessing]:
    """What `create_transform` makes of a configuration: at the training size, and at the test size if it has one."""
    size, fraction = pretrained.get("input_size"), pretrained.get("crop_pct")
    test_size, test_fraction = (
        pretrained.get("test_input_size") or size,
        pretrained.get("test_crop_pct") or fraction,
    )
    found = {"timm": _timm_steps(pretrained, size, fraction)}
    if (test_size, test_fraction) != (size, fraction):
        found["timm-test"] = _timm_steps(pretrained, test_size, test_fraction)
    return {name: steps for name, steps in found.items() if steps is not None}


def _timm_steps(pretrained: Mapping[str, Any], size: object, fraction: object) -> Preprocessing | None:
    """Timm's evaluation transform: shorter side to floor(size / crop_pct), centre crop."""
    interpolation = NAMED.get(str(pretrained.get("interpolation")))
    if not isinstance(size, list) or len(size) != 3 or size[1] != size[2] or interpolation is None:
        return None
    if (
        pretrained.get("crop_mode", "center") != "center"
        or size[0] != 3
        or not isinstance(fraction, float | int)
    ):
        return None
    return Preprocessing(
        Geometry(
            (
                ResizeShorter(math.floor(size[1] / fraction), interpolation),
                Crop(Size(size[1], size[1]), "center"),
            )
        ),
        Normalisation("RGB", 1 / 255, _triple(pretrained.get("mean")), _triple(pretrained.get("std"))),
        f"{CONFIG}, pretrained_cfg at {size[1]}",
    )
