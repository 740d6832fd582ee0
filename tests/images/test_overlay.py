"""Promises of overlays: evidence is drawn where it is, nothing is drawn where there is none."""

from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from app.domain import Affine, Crop, EncodedPicture, Geometry, Resize, Size
from app.images.colormaps import Colormap, color_table
from app.images.decode import Picture, decode
from app.images.heat import Normalization, upsampled
from app.images.overlay import MediaType, render_overlay
from app.images.preprocess import preprocess

WIDTH, HEIGHT = 140, 98
WHOLE = (0.0, 0.0, float(WIDTH), float(HEIGHT))
SEVEN = Affine(scale_x=WIDTH / 7, scale_y=HEIGHT / 7)
NORMALIZATIONS: tuple[Normalization, ...] = ("max", "minmax", "signed")
COLORMAPS: tuple[Colormap, ...] = get_args(Colormap)


def grey_picture(width: int = WIDTH, height: int = HEIGHT, level: int = 90) -> Picture:
    return Picture(image=Image.new("RGB", (width, height), (level, level, level)), format="PNG")


def one_hot(
    row: int, column: int, *, rows: int = 7, columns: int = 7, value: float = 5.0
) -> NDArray[np.float32]:
    heat = np.zeros((rows, columns), np.float32)
    heat[row, column] = value
    return heat


def drawn(
    heat: NDArray[np.float32],
    picture: Picture | None = None,
    cells: Affine = SEVEN,
    field_of_view: tuple[float, float, float, float] = WHOLE,
    **options: Any,
) -> NDArray[np.int16]:
    overlay = render_overlay(
        picture or grey_picture(),
        heat,
        cells,
        field_of_view,
        media_type="image/png",
        max_side=options.pop("max_side", 1600),
        **options,
    )
    with Image.open(BytesIO(overlay.data)) as image:
        assert image.size == (overlay.width, overlay.height)
        return np.asarray(image).astype(np.int16)


def change(pixels: NDArray[np.int16], level: int = 90) -> NDArray[np.int64]:
    """How far each pixel is from the grey picture."""
    return np.abs(pixels.astype(np.int64) - level).sum(axis=2)


# --- where -------------------------------------------------------------------------------------


@given(
    row=st.integers(0, 6),
    column=st.integers(0, 6),
    cells=st.builds(Affine, st.floats(4, 18), st.floats(-10, 30), st.floats(4, 12), st.floats(-10, 30)),
)
@settings(max_examples=60, deadline=None)
def test_the_hottest_pixel_is_where_the_affine_says(row: int, column: int, cells: Affine) -> None:
    x = (column + 0.5) * cells.scale_x + cells.offset_x
    y = (row + 0.5) * cells.scale_y + cells.offset_y
    if not (1 <= x < WIDTH - 1 and 1 <= y < HEIGHT - 1):
        return

    heat = change(drawn(one_hot(row, column), cells=cells))

    # Bilinear maps have flat tops at the grid's border; the middle of the hottest pixels is the peak.
    hottest_y, hottest_x = np.argwhere(heat == heat.max()).mean(axis=0) + 0.5
    assert abs(hottest_x - x) <= cells.scale_x / 2
    assert abs(hottest_y - y) <= cells.scale_y / 2


def test_a_dot_in_the_picture_is_lit_through_the_carcass_models_geometry() -> None:
    """Cell (2, 2) of the 5 x 5 map is the middle of what the network saw."""
    geometry = (Resize(Size(373, 373), "nearest"), Crop(Size(224, 224), "bottom_right"))
    picture = grey_picture(768, 574)
    to_original = preprocess(picture, geometry).to_original
    cells = Affine(scale_x=224 / 5, scale_y=224 / 5).then(to_original)
    seen = (149 * 768 / 373, 149 * 574 / 373, 768.0, 574.0)

    heat = change(drawn(one_hot(2, 2, rows=5, columns=5), picture, cells, seen))[240:, 320:]

    y, x = np.argwhere(heat == heat.max()).mean(axis=0)
    assert abs(x + 320 - (149 + 112) * 768 / 373) < 2
    assert abs(y + 240 - (149 + 112) * 574 / 373) < 2


@given(
    heat=arrays.arrays(
        np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(-9, 9, width=32)
    ),
    width=st.integers(1, 64),
    height=st.integers(1, 64),
)
@settings(max_examples=80, deadline=None)
def test_upsampling_is_that_of_torch(heat: NDArray[np.float32], width: int, height: int) -> None:
    cells = Affine(scale_x=width / heat.shape[1], scale_y=height / heat.shape[0])

    field = upsampled(heat, cells, columns=range(width), rows=range(height))

    # In double precision: in single, torch's own positions are off by up to 1e-5 of a step from 8 to -4.
    reference = functional.interpolate(
        torch.from_numpy(heat)[None, None].double(),
        size=(height, width),
        mode="bilinear",
        align_corners=False,
    )
    assert field.dtype == np.float32
    assert np.abs(field - reference[0, 0].numpy()).max() <= 1e-5


def test_nothing_is_drawn_outside_the_field_of_view_but_its_outline() -> None:
    seen = (40.0, 30.0, 110.0, 80.0)

    heat = change(drawn(np.ones((7, 7), np.float32), field_of_view=seen))

    assert (heat[31:79, 41:109] > 0).all()
    heat[29:81, 39:111] = 0
    assert heat.max() == 0


def test_nothing_is_drawn_outside_the_maps_own_extent() -> None:
    cells = Affine(scale_x=10, offset_x=20, scale_y=5, offset_y=15)

    heat = change(drawn(np.ones((7, 7), np.float32), cells=cells))

    assert (heat[15:50, 20:90] > 0).all()
    heat[15:50, 20:90] = 0
    assert heat.max() == 0


def test_outer_cells_reach_the_border_that_is_nearer_than_half_a_cell() -> None:
    """A ResNet's cells are centred on pixel 32 i: no cell is nearer to the last 15 of 224 pixels than the last one."""
    cells = Affine(scale_x=20, offset_x=-9.5, scale_y=14, offset_y=-6.5)

    assert (change(drawn(np.ones((7, 7), np.float32), cells=cells)) > 0).all()


def test_only_part_of_the_map_is_the_same_as_all_of_it() -> None:
    """Rows and columns without evidence are skipped, and nobody can tell."""
    heat = one_hot(2, 4) + one_hot(3, 5, value=2.0)
    faint = heat + np.float32(1e-6)

    assert np.abs(drawn(heat) - drawn(faint)).max() <= 1


def test_a_field_of_view_beside_the_picture_draws_nothing() -> None:
    pixels = drawn(one_hot(3, 3), field_of_view=(500.0, 500.0, 600.0, 600.0))

    assert change(pixels).max() == 0


def test_the_field_of_view_is_outlined_only_where_it_is_not_the_picture() -> None:
    """Bottom right: two sides lie inside, two on the picture's own border."""
    nothing = np.zeros((7, 7), np.float32)

    whole = change(drawn(nothing))
    corner = change(drawn(nothing, field_of_view=(60.0, 40.0, float(WIDTH), float(HEIGHT))))

    assert whole.max() == 0
    assert (corner[40, 60:] > 0).all()
    assert (corner[40:, 60] > 0).all()
    assert corner[42:, 62:].max() == 0
    assert corner[:38].max() == corner[:, :58].max() == 0


# --- how much ----------------------------------------------------------------------------------


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_opacity_zero_is_the_plain_picture(normalization: Normalization) -> None:
    pixels = drawn(
        one_hot(3, 3), field_of_view=(20.0, 20.0, 80.0, 80.0), opacity=0.0, normalization=normalization
    )

    assert change(pixels).max() == 0


def test_the_strongest_evidence_has_the_full_opacity_and_the_maps_last_colour() -> None:
    pixels = drawn(np.ones((7, 7), np.float32), opacity=0.5)

    assert np.abs(pixels - (90 + color_table("inferno")[255].astype(int)) / 2).max() <= 1


def test_half_the_evidence_has_half_the_opacity() -> None:
    heat = np.ones((1, 2), np.float32)
    heat[0, 1] = 0.5

    pixels = drawn(heat, cells=Affine(scale_x=WIDTH / 2, scale_y=HEIGHT), opacity=1.0)

    middle = color_table("inferno")[128].astype(int)
    assert np.abs(pixels[5, -1] - (90 + middle) / 2).max() <= 2


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("value", [0.0, -3.0, np.nan, np.inf, -np.inf])
def test_a_map_without_evidence_leaves_the_picture_plain(normalization: Normalization, value: float) -> None:
    if normalization == "signed" and value == -3.0:
        return  # all of it speaks against, and that is drawn
    heat = np.full((7, 7), value, np.float32)

    assert change(drawn(heat, normalization=normalization)).max() == 0


def test_a_flat_map_has_nothing_to_show_between_its_least_and_most() -> None:
    assert change(drawn(np.full((7, 7), 4.0, np.float32), normalization="minmax")).max() == 0


def test_one_bad_cell_does_not_hide_the_others() -> None:
    heat = one_hot(1, 1)
    heat[5, 5] = np.nan

    pixels = drawn(heat)

    assert np.array_equal(pixels, drawn(one_hot(1, 1)))


def test_signed_maps_show_both_sides_on_one_scale() -> None:
    heat = one_hot(3, 1, value=4.0) + one_hot(3, 5, value=-4.0)

    pixels = drawn(heat, normalization="signed")

    favour, against, neither = pixels[49, 30], pixels[49, 110], pixels[49, 70]
    assert favour[0] > favour[2] + 50  # orange
    assert against[2] > against[0] + 50  # blue
    assert np.abs(neither - 90).max() <= 1


def test_evidence_against_is_invisible_unless_asked_for() -> None:
    assert change(drawn(one_hot(3, 1) + one_hot(3, 5, value=-5.0)))[40:60, 95:125].max() == 0


# --- colours -----------------------------------------------------------------------------------


def lightness(table: NDArray[np.uint8]) -> NDArray[np.float64]:
    """CIE L* of sRGB colours."""
    srgb = table / 255.0
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)


@pytest.mark.parametrize("name", ["inferno", "viridis", "cividis"])
def test_lightness_rises_with_evidence(name: Colormap) -> None:
    """So that the map survives a black-and-white print and colour blindness; 8-bit rounding is forgiven."""
    steps = np.diff(lightness(color_table(name)))

    assert steps.min() > -0.25
    assert np.diff(lightness(color_table(name)[::8])).min() > 0
    assert lightness(color_table(name))[-1] - lightness(color_table(name))[0] > 60


def test_tables_are_the_published_ones() -> None:
    """First, middle and last colours of matplotlib's own tables."""
    published = {
        "inferno": [(0, 0, 4), (188, 55, 84), (252, 255, 164)],
        "viridis": [(68, 1, 84), (33, 145, 140), (253, 231, 37)],
        "cividis": [(0, 34, 78), (125, 124, 120), (254, 232, 56)],
        "jet": [(0, 0, 128), (128, 255, 128), (128, 0, 0)],
    }
    for name in COLORMAPS:
        found = color_table(name)[[0, 128, 255]].astype(int)
        assert np.abs(found - published[name]).max() <= 3


@pytest.mark.parametrize("name", [*COLORMAPS, "diverging"])
def test_tables_cannot_be_changed_by_who_gets_them(name: Colormap) -> None:
    table = color_table(name)

    assert (table.shape, table.dtype) == ((256, 3), np.uint8)
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 0


@pytest.mark.parametrize("colormap", COLORMAPS)
def test_every_colour_map_can_be_asked_for(colormap: Colormap) -> None:
    pixels = drawn(np.ones((7, 7), np.float32), colormap=colormap, opacity=1.0)

    assert (pixels == color_table(colormap)[255]).all()


# --- the file ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("media_type", "kind"), [("image/jpeg", "JPEG"), ("image/png", "PNG"), ("image/webp", "WEBP")]
)
def test_the_overlay_is_a_file_of_the_kind_asked_for(media_type: MediaType, kind: str) -> None:
    overlay = render_overlay(
        grey_picture(), one_hot(3, 3), SEVEN, WHOLE, media_type=media_type, max_side=1600
    )

    assert isinstance(overlay, EncodedPicture)
    assert (overlay.media_type, overlay.width, overlay.height) == (media_type, WIDTH, HEIGHT)
    with Image.open(BytesIO(overlay.data)) as image:
        assert (image.format, image.size) == (kind, (WIDTH, HEIGHT))


def test_a_large_picture_is_drawn_smaller_with_the_heat_in_the_same_place() -> None:
    picture = grey_picture(2000, 1500)
    cells = Affine(scale_x=1000 / 7, offset_x=500.0, scale_y=1500 / 7)

    pixels = drawn(one_hot(3, 5), picture, cells, (500.0, 0.0, 1500.0, 1500.0), max_side=400)

    assert pixels.shape == (300, 400, 3)
    heat = change(pixels)[:, 103:297]  # without the outline
    y, x = np.argwhere(heat == heat.max()).mean(axis=0)
    assert abs(x + 103 - (500 + 5.5 * 1000 / 7) / 5) < 2
    assert abs(y - 150) < 2


@pytest.mark.parametrize("size", [(9000, 2), (2, 9000)])
def test_an_elongated_picture_keeps_a_pixel_of_its_shorter_side(size: tuple[int, int]) -> None:
    width, height = size

    pixels = drawn(
        np.ones((7, 7), np.float32),
        grey_picture(width, height),
        Affine(scale_x=width / 7, scale_y=height / 7),
        (0.0, 0.0, float(width), float(height)),
        max_side=300,
    )

    assert sorted(pixels.shape) == [1, 3, 300]


def test_the_picture_itself_is_not_drawn_on() -> None:
    picture = grey_picture()

    drawn(np.ones((7, 7), np.float32), picture, field_of_view=(10.0, 10.0, 90.0, 90.0))

    assert picture.image.getextrema() == ((90, 90),) * 3


def test_real_photographs_stay_readable_under_the_map(carcass_photographs: list[Path]) -> None:
    """Where there is no evidence the photograph is untouched; at its peak it still shows through."""
    picture = decode(carcass_photographs[0].read_bytes(), geometry=Geometry(steps=()), max_pixels=1_000_000)
    cells = Affine(scale_x=768 / 7, scale_y=574 / 7)

    pixels = drawn(one_hot(2, 2), picture, cells, (0.0, 0.0, 768.0, 574.0))

    original = np.asarray(picture.image).astype(np.int16)
    assert np.array_equal(pixels[350:], original[350:])
    patch = np.s_[190:220, 250:290]
    assert pixels[patch].std(axis=(0, 1)).sum() >= 0.3 * original[patch].std(axis=(0, 1)).sum()
