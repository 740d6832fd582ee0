"""Which picture of an explanation is drawn, and in what style.

Picture + Explanation + Findings + DrawingStyle -> EncodedPicture

One map on the picture; or, where several were asked for, a sheet of layers, classes or channels.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from app.domain import EncodedPicture, Explanation
from app.explain.findings import Findings
from app.explain.rounding import SIGNS, bounded, figure
from app.explain.sentence import Language
from app.images.channels import CHANNELS, Channel, render_contact_sheet
from app.images.decode import Picture
from app.images.overlay import Legend, Region, render_overlay
from app.images.sheets import PER_LAYER, HeatMap, Style, render_class_sheet, render_strip

Shown = Literal["overlay", "layers", "classes", "feature_maps"]
UNITS: dict[Language, dict[str, str]] = {
    "en": {"logit": "logits", "probability": "probability", "activation": "activation"},
    "ko": {"logit": "로짓", "probability": "확률", "activation": "활성"},
}


_FEWEST_COLUMNS = 3
"""Of a sheet of classes; its panels are of the usual width as long as these are enough."""

_OVERLAYS_ONLY = ("boxes", "legend")
_NOT_OF_CHANNELS = ("colormap", "normalization", "full_scale", "opacity", "contours")
"""Activations are no evidence: each channel is drawn by itself, grey, on no picture."""


@dataclass(frozen=True, slots=True)
class DrawingStyle:
    """How maps are drawn on the picture."""

    shows: Shown | None = None
    """None: the only sheet that was asked for, else the overlay."""
    media_type: Literal["image/jpeg", "image/png", "image/webp"] = "image/jpeg"
    colormap: Literal["inferno", "viridis", "cividis", "jet"] = "inferno"
    normalization: Literal["max", "minmax", "signed", "none"] = "max"
    full_scale: float | None = None
    """For none: the evidence that gets the strongest colour, in the map's unit."""
    opacity: float = 0.6
    contours: tuple[float, ...] = ()
    boxes: bool = False
    legend: bool = False
    language: Language = "en"
    """Of the words in the picture."""
    max_side_px: int = 1600

    def without_effect(self, shown: Shown) -> list[str]:
        """What was asked for by name, and is no part of such a picture."""
        if shown == "overlay":
            return []
        names = (*_OVERLAYS_ONLY, *(_NOT_OF_CHANNELS if shown == "feature_maps" else ()))
        return [name for name in names if getattr(self, name) != getattr(_PLAIN, name)]


_PLAIN = DrawingStyle()


def draw(
    picture: Picture,
    explanation: Explanation,
    findings: Findings | None,
    style: DrawingStyle,
    labels: Sequence[str],
) -> EncodedPicture:
    """The picture that was asked for.

    Args:
        picture: the original.
        explanation: what the network said of it.
        findings: whose regions get boxes, where the style wants some.
        style: how.
        labels: what people call the classes in the style's language, in the order of the logits.
    """
    sheets: dict[Shown, bool] = {
        "layers": bool(explanation.layers),
        "classes": bool(explanation.classes),
        "feature_maps": explanation.feature_maps is not None,
    }
    match style.shows or only_sheet(sheets):
        case "layers":
            return render_strip(
                picture,
                [
                    (each.layer, HeatMap(each.map.values, each.cell_to_picture, explanation.field_of_view))
                    for each in explanation.layers
                ],
                title=_title(explanation, labels),
                style=_sheet(style, is_one_scale=False, unit=""),
            )
        case "classes":
            columns = _class_columns(len(explanation.classes))
            return render_class_sheet(
                picture,
                [
                    (
                        labels[each.target.class_index],
                        figure(each.target.probability),
                        HeatMap(each.map.values, explanation.cell_to_picture, explanation.field_of_view),
                    )
                    for each in explanation.classes
                ],
                columns=columns,
                style=replace(
                    _sheet(style, is_one_scale=True, unit=UNITS[style.language][explanation.map.unit]),
                    panel_width=_FEWEST_COLUMNS * Style().panel_width // columns,
                ),
            )
        case "feature_maps":
            return _contact_sheet(explanation, style, labels)
        case "overlay":
            return _overlay(picture, explanation, findings, style, labels)


def _class_columns(count: int) -> int:
    """As many as rows, so that many classes make no ribbon; the panels become smaller and the sheet does not grow."""
    return max(_FEWEST_COLUMNS, math.isqrt(count - 1) + 1)


def only_sheet(sheets: Mapping[Shown, bool]) -> Shown:
    """What is drawn where no picture is named, by what can be."""
    there = [shown for shown, is_there in sheets.items() if is_there]
    return there[0] if len(there) == 1 else "overlay"


def _overlay(
    picture: Picture,
    explanation: Explanation,
    findings: Findings | None,
    style: DrawingStyle,
    labels: Sequence[str],
) -> EncodedPicture:
    regions = findings.regions.regions if findings is not None and style.boxes else ()
    return render_overlay(
        picture,
        explanation.map.values,
        explanation.cell_to_picture,
        explanation.field_of_view,
        media_type=style.media_type,
        colormap=style.colormap,
        normalization=style.normalization,
        full_scale=style.full_scale,
        opacity=style.opacity,
        contours=style.contours,
        regions=[Region(each.box, _share(each.share)) for each in regions if each.box is not None],
        legend=Legend(_title(explanation, labels), UNITS[style.language][explanation.map.unit])
        if style.legend
        else None,
        max_side=style.max_side_px,
    )


def _contact_sheet(explanation: Explanation, style: DrawingStyle, labels: Sequence[str]) -> EncodedPicture:
    assert explanation.feature_maps is not None  # noqa: S101 - the request was checked
    channels = explanation.feature_maps.channels
    x0, y0, x1, y1 = explanation.field_of_view
    tiles = [
        Channel(int(index), values, float(contribution))
        for index, values, contribution in zip(
            channels.indices, channels.values, channels.contributions, strict=True
        )
    ]
    return render_contact_sheet(
        tiles,
        aspect=(x1 - x0) / (y1 - y0),
        columns=min(8, len(tiles)),
        title=f"{channels.layer}: {_title(explanation, labels)}",
        style=Style(
            colormap=CHANNELS.colormap,
            panel_width=CHANNELS.panel_width,
            unit=UNITS[style.language]["activation"],
            media_type=style.media_type,
        ),
    )


def _title(explanation: Explanation, labels: Sequence[str]) -> str:
    """The class and how probable it is; of a contrast both classes."""
    target, against = explanation.target, explanation.against
    if explanation.map.unit == "activation":
        return explanation.method
    name = labels[target.class_index]
    if against is not None:
        return f"{name} / {labels[against.class_index]}"
    return f"{name} {figure(target.probability)}"


def _share(value: float) -> str:
    number, side = bounded(value, 2)
    return f"{SIGNS[side]}{float(number):.0%}"


def _sheet(style: DrawingStyle, *, is_one_scale: bool, unit: str) -> Style:
    return Style(
        normalization=style.normalization,
        full_scale=style.full_scale,
        is_one_scale=is_one_scale,
        clipped_share=0.0 if is_one_scale else PER_LAYER.clipped_share,
        colormap=style.colormap,
        opacity=style.opacity,
        contours=style.contours,
        unit=unit,
        media_type=style.media_type,
    )
