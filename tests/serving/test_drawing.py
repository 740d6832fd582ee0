"""Whatever may be asked to be drawn fits into every kind of file, and costs no more than a few photographs."""

import numpy as np
import pytest
from PIL import Image

from app.domain import (
    Affine,
    Channels,
    ClassMap,
    ClassScore,
    EncodedPicture,
    EvidenceMap,
    Explanation,
    FeatureMaps,
    LayerMap,
    Size,
)
from app.explain.plan import MOST_CHANNELS, MOST_CLASSES
from app.images.decode import Picture
from app.images.encode import MediaType
from app.nets.layers import EARLIER_LAYERS
from app.serving.drawing import DrawingStyle, Shown, draw

MOST_LAYERS = 1 + max(len(layers) for layers in EARLIER_LAYERS.values())
WEBP_SIDE = 16_383
"""Pixels: the least of what the three kinds of file can hold."""


def explanation_of(picture: Image.Image, *, classes: int) -> Explanation:
    """As many maps of every kind as may be asked for."""
    width, height = picture.size
    place = Affine(scale_x=width / 2, scale_y=height / 2)
    shown = EvidenceMap(np.array([[1, -1], [0, 2]], np.float32), 0.0, 0.5, "ok")
    scores = [ClassScore(f"class {index}", index, 1 / classes, 0.5) for index in range(classes)]
    channels = Channels(
        "layer1",
        np.arange(MOST_CHANNELS),
        np.linspace(1, -1, MOST_CHANNELS, dtype=np.float32),
        np.ones((MOST_CHANNELS, 2, 2), np.float32),
        total=1.0,
        count=2048,
    )
    return Explanation(
        method="cam",
        kind="exact",
        equivalent_to=(),
        layer="layer4",
        target=scores[0],
        map=shown,
        cell_to_picture=place,
        cell_to_input=Affine(),
        align="receptive_field",
        field_of_view=(0.0, 0.0, float(width), float(height)),
        input_size=Size(224, 224),
        classes=tuple(ClassMap(score, shown) for score in scores),
        layers_method="layercam",
        layers=tuple(LayerMap(f"layer{n}", shown, place) for n in range(MOST_LAYERS)),
        feature_maps=FeatureMaps(channels, place),
    )


def drawn(size: tuple[int, int], shows: Shown, media_type: MediaType, *, classes: int) -> EncodedPicture:
    picture = Image.new("RGB", size, (90, 120, 60))
    labels = [f"class {index}" for index in range(classes)]
    style = DrawingStyle(shows=shows, media_type=media_type)
    return draw(Picture(picture, "PNG"), explanation_of(picture, classes=classes), None, style, labels)


@pytest.mark.parametrize("shows", ["layers", "classes", "feature_maps"])
@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "image/webp"])
@pytest.mark.parametrize("size", [(12, 2000), (1, 65_000), (90, 180), (65_000, 1)])
def test_the_largest_sheet_fits_into_every_kind_of_file(
    size: tuple[int, int], media_type: MediaType, shows: Shown
) -> None:
    sheet = drawn(size, shows, media_type, classes=MOST_CLASSES)

    assert sheet.media_type == media_type
    assert max(sheet.width, sheet.height) < WEBP_SIDE / 4
    assert sheet.width * sheet.height < 5e6


@pytest.mark.parametrize(
    ("classes", "columns"), [(1, 1), (2, 2), (3, 3), (4, 3), (9, 3), (10, 4), (16, 4), (17, 5), (64, 8)]
)
def test_a_sheet_of_many_classes_has_more_columns_and_is_no_wider(classes: int, columns: int) -> None:
    """Up to nine have panels of the usual size."""
    sheet = drawn((768, 574), "classes", "image/png", classes=classes)

    usual = columns * 384 + (columns - 1) * 21 + 2 * 28
    assert sheet.width == usual if classes <= 9 else 1150 < sheet.width < 1300
    assert sheet.height < 1.05 * sheet.width or classes == 1
