"""What a model folder's configuration says of pictures: the steps of Transformers' and timm's own transforms.

parsed JSON -> Preprocessing; None where it is a transform that is not known, which its owner is then asked for
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from app.checkpoints.found import Preprocessing
from app.domain import Crop, Geometry, Interpolation, Normalisation, Resize, ResizeShorter, Size, Step
from app.errors import WeightsRefused

PILLOW: Final[dict[int, Interpolation]] = {
    0: "nearest",
    1: "lanczos",
    2: "bilinear",
    3: "bicubic",
    4: "box",
    5: "hamming",
}
NAMED: Final[dict[str, Interpolation]] = {name: name for name in PILLOW.values()}
SHORTER: Final = ("ConvNext", "CLIP", "ChineseCLIP", "Bit", "MobileNetV1", "MobileNetV2")
"""Image processors that read a single number as the shorter side, and resize to it. Others read it as a square (ViT,
DeiT), or resize to a share more (LeViT, PoolFormer)."""

OTHERWISE: Final = ("EfficientNet", "MobileViT")
"""One takes 1 off the scaled values before it normalises, perhaps twice; the other exchanges red and blue."""


def hugging_face_steps(config: Mapping[str, Any]) -> Preprocessing | None:
    """What an image processor of Transformers does; None where it is another than those known."""
    size = config.get("size")
    kind = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    if isinstance(size, int) and kind.startswith(SHORTER):
        size = {"shortest_edge": size}
    interpolation = PILLOW.get(config.get("resample", -1))
    if not isinstance(size, dict) or interpolation is None or not config.get("do_resize", True):
        return None
    if kind.startswith(OTHERWISE):
        return None
    steps: list[Step]
    edge = size.get("shortest_edge") if kind.startswith(SHORTER) else None
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
        Geometry(tuple(steps)), Normalisation("RGB", scale, mean, std), f"preprocessor_config.json, {kind}"
    )


def _triple(value: object) -> tuple[float, float, float]:
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise WeightsRefused(
            "three numbers are needed for each of mean and std in the folder's configuration"
        )
    red, green, blue = (float(number) for number in value)
    return red, green, blue


def timm_evaluations(pretrained: Mapping[str, Any]) -> dict[str, Preprocessing]:
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
        f"config.json, pretrained_cfg at {size[1]}",
    )
