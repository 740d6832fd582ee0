"""A manifest from values, and as text for people.

values -> describe -> Manifest -> write_manifest -> text that parses back to an equal Manifest
"""

from collections.abc import Mapping, Sequence

from app.bundles.manifest import Manifest, QuantizationTable, checked_manifest
from app.bundles.preprocess_tables import PreprocessTable
from app.bundles.toml_text import toml_key, toml_value
from app.domain import (
    ConcatPoolHead,
    ConvCamHead,
    Crop,
    CropBox,
    FlattenHead,
    Geometry,
    HeadSpec,
    LinearHead,
    MlpHead,
    Normalisation,
    OwnHead,
    RegionOfInterest,
    Resize,
    ResizeShorter,
    Step,
)


def describe(
    *,
    architecture: str,
    classes: Sequence[str],
    geometry: Geometry,
    normalisation: Normalisation,
    head: HeadSpec | None = None,
    dropout: float | None = None,
    weights: str = "weights.safetensors",
    title: str | None = None,
    description: str | None = None,
    notice: str | None = None,
    display: Mapping[str, Mapping[str, str]] | None = None,
    region_of_interest: RegionOfInterest | None = None,
    golden_tolerance: float | None = None,
) -> Manifest:
    """The manifest of these values, checked as if it had been read; raises ManifestInvalid."""
    optional = {"title": title, "description": description, "notice": notice}
    return checked_manifest(
        {
            "architecture": architecture,
            "weights": weights,
            "classes": list(classes),
            **{key: value for key, value in optional.items() if value is not None},
            "head": _head_table(head or LinearHead()) | ({} if dropout is None else {"dropout": dropout}),
            "preprocess": {
                "orientation": geometry.orientation,
                "channels": normalisation.channels,
                "alpha_background": list(geometry.alpha_background),
                "steps": [_step_table(step) for step in geometry.steps],
                "decode": geometry.decode,
                "scale": normalisation.scale,
                "mean": list(normalisation.mean),
                "std": list(normalisation.std),
            },
            "display": {language: dict(labels) for language, labels in (display or {}).items()},
            "evidence": {}
            if region_of_interest is None
            else {"region_of_interest": _corners(region_of_interest)},
            "golden": {} if golden_tolerance is None else {"tolerance": golden_tolerance},
        }
    )


def _head_table(head: HeadSpec) -> dict[str, object]:
    match head:
        case LinearHead():
            return {"kind": "linear"}
        case MlpHead(hidden=hidden):
            return {"kind": "mlp", "hidden": list(hidden)}
        case ConvCamHead(kernel_size=kernel_size, channels=channels):
            table: dict[str, object] = {"kind": "conv_cam", "kernel_size": kernel_size}
            return table if channels is None else table | {"channels": channels}
        case FlattenHead(cells=cells, hidden=hidden):
            return {"kind": "flatten_mlp", "cells": cells, "hidden": list(hidden)}
        case ConcatPoolHead(hidden=hidden):
            return {"kind": "concat_pool_mlp", "hidden": list(hidden)}
        case OwnHead():
            return {"kind": "own"}


def _step_table(step: Step) -> dict[str, object]:
    match step:
        case Resize(size=size, interpolation=interpolation):
            return {"resize": [size.height, size.width], "interpolation": interpolation}
        case ResizeShorter(shorter=shorter, interpolation=interpolation):
            return {"resize_shorter": shorter, "interpolation": interpolation}
        case Crop(size=size, anchor=anchor):
            return {"crop": [size.height, size.width], "anchor": anchor}
        case CropBox():
            return {"crop_box": _corners(step)}


def _corners(box: CropBox | RegionOfInterest) -> list[float]:
    return [box.x0, box.y0, box.x1, box.y1]


def write_manifest(manifest: Manifest) -> str:
    """model.toml for people to edit: every key stands there, with what it means."""
    head = manifest.head.model_dump(exclude_none=True)
    lines = [
        "# How this model is built and what its pictures go through; docs/bundles.md explains every key.",
        "",
        f"architecture = {toml_value(manifest.architecture)}",
        f"weights = {toml_value(manifest.weights)}",
        write_classes(manifest.classes),
        *(
            f"{key} = {toml_value(value)}"
            for key in ("title", "description", "notice")
            if (value := getattr(manifest, key)) is not None
        ),
        "",
        "[head]",
        *(f"{key} = {toml_value(value)}" for key, value in head.items()),
        "",
        *_preprocess_lines(manifest.preprocess),
        *_evidence_lines(manifest),
        "",
        "[golden]",
        tolerance_line(manifest.golden.tolerance),
        *images_lines(manifest.golden.images),
    ]
    if manifest.calibration.temperature != 1.0:
        about = "probabilities are softmax(logits / temperature)"
        lines += [
            "",
            "[calibration]",
            f"temperature = {toml_value(manifest.calibration.temperature)}  # {about}",
        ]
    for language, labels in manifest.display.items():
        lines += [
            "",
            f"[display.{language}]",
            *(f"{toml_key(name)} = {toml_value(text)}" for name, text in labels.items()),
        ]
    if manifest.quantization is not None:
        lines += ["", *quantization_lines(manifest.quantization)]
    return "\n".join(lines) + "\n"


def tolerance_line(tolerance: float) -> str:
    """The line of [golden]."""
    return f"tolerance = {toml_value(tolerance)}  # of any class's probability"


def images_lines(count: int | None) -> list[str]:
    """The line of [golden] that counts them; none where nobody did."""
    return (
        []
        if count is None
        else [f"images = {toml_value(count)}  # so many lie in golden/, or it does not serve"]
    )


def quantization_lines(table: QuantizationTable) -> list[str]:
    """The manifest's [quantization] table."""
    return [
        "[quantization]  # written by `lineside quantize`",
        f"kind = {toml_value(table.kind)}",
        f"sha256 = {toml_value(table.sha256)}  # of openvino/int8.xml and .bin",
        f"images = {toml_value(table.images)}  # pictures that it was calibrated and compared on",
        f"agreement = {toml_value(table.agreement)}  # share of the compared that get the class which float32 gives",
        f"drift = {toml_value(table.drift)}  # largest difference of any probability on them",
    ]


def write_classes(classes: Sequence[str]) -> str:
    """The manifest's line of class names."""
    return f"classes = {toml_value(list(classes))}  # in the order of the head's outputs"


def write_preprocess(geometry: Geometry, normalisation: Normalisation) -> str:
    """The manifest's [preprocess] table, to paste; raises ManifestInvalid."""
    values = describe(
        architecture="any", classes=("a", "b"), geometry=geometry, normalisation=normalisation
    ).preprocess
    return "\n".join(_preprocess_lines(values)) + "\n"


def _preprocess_lines(table: PreprocessTable) -> list[str]:
    return [
        "[preprocess]  # exactly what training did, in this order; sizes are [height, width]",
        f"orientation = {toml_value(table.orientation)}  # EXIF: ignore | apply",
        f"channels = {toml_value(table.channels)}  # RGB | BGR",
        f"alpha_background = {toml_value(table.alpha_background)}  # the colour under transparent pixels",
        "steps = [",
        *(f"  {toml_value(step.model_dump())}," for step in table.steps),
        "]",
        f"decode = {toml_value(table.decode)}  # exact | scaled: large JPEGs at 1/2, 1/4 or 1/8, if the golden images hold",
        f"scale = {scale_value(table.scale)}  # then (pixel * scale - mean) / std",
        f"mean = {toml_value(table.mean)}",
        f"std = {toml_value(table.std)}",
    ]


def _evidence_lines(manifest: Manifest) -> list[str]:
    box = manifest.evidence.region_of_interest
    if box is None:
        return []
    return [
        "",
        "[evidence]",
        f"region_of_interest = {toml_value(box)}  # x0, y0, x1, y1 as fractions of the whole picture",
    ]


def scale_value(scale: float) -> str:
    """A number, or a fraction as text where it is one."""
    whole = round(1 / scale) if 1e-6 < scale < 1 else 0
    return toml_value(f"1/{whole}") if whole and 1 / whole == scale else toml_value(scale)
