"""Promises of sheets: every panel is there, in its place, on the scale that is said."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from app.domain import Affine, EncodedPicture
from app.images.channels import CHANNELS, Channel, render_contact_sheet
from app.images.colormaps import color_table
from app.images.decode import Picture
from app.images.sheets import (
    PER_LAYER,
    HeatMap,
    Panel,
    Style,
    render_class_sheet,
    render_comparison,
    render_panels,
    render_strip,
)
from app.images.text import PAPER

PICTURE = Picture(Image.new("RGB", (120, 90), (90, 90, 90)), "PNG")
STYLE = Style(media_type="image/png", panel_width=120, opacity=1.0)


def heat(value: float, *, rows: int = 3, cols: int = 4) -> HeatMap:
    values = np.full((rows, cols), value, np.float32)
    return HeatMap(values, Affine(scale_x=120 / cols, scale_y=90 / rows), (0.0, 0.0, 120.0, 90.0))


def pixels(sheet: EncodedPicture) -> NDArray[np.uint8]:
    with Image.open(BytesIO(sheet.data)) as image:
        assert image.size == (sheet.width, sheet.height)
        return np.asarray(image.convert("RGB"))


def panels_on(sheet: NDArray[np.uint8], color: NDArray[np.uint8]) -> int:
    """How many panels of 120 x 90 are filled with this colour."""
    is_color = (np.abs(sheet.astype(int) - color).max(axis=2) <= 2).sum()
    return round(is_color / (120 * 90))


STRONGEST, HALF = color_table("inferno")[255], color_table("inferno")[128] * 0.5 + 45


def test_classes_are_on_one_scale() -> None:
    """Half the evidence is half the colour, whatever the style would have."""
    sheet = render_class_sheet(
        PICTURE,
        [("boar", "99 %", heat(4.0)), ("castrate", "1 %", heat(2.0)), ("female", "0 %", heat(-1.0))],
        style=replace(STYLE, is_one_scale=False),
    )

    drawn = pixels(sheet)
    assert panels_on(drawn, STRONGEST) == 1
    assert panels_on(drawn, HALF) == 1
    assert panels_on(drawn, np.array([90, 90, 90])) == 1


def test_layers_have_each_their_own_scale_unless_asked() -> None:
    layers = [("layer3", heat(0.004, rows=14, cols=14)), ("layer4", heat(4.0))]
    style = replace(PER_LAYER, media_type="image/png", panel_width=120, opacity=1.0)

    own = pixels(render_strip(PICTURE, layers, title="LayerCAM", style=style))
    one = pixels(render_strip(PICTURE, layers, title="LayerCAM", style=replace(style, is_one_scale=True)))

    assert panels_on(own, STRONGEST) == 2
    assert panels_on(one, STRONGEST) == 1


def test_a_strip_is_one_row_and_a_grid_is_filled_row_by_row() -> None:
    panels = [Panel(PICTURE, heat(1.0), str(number)) for number in range(5)]

    strip, grid = (pixels(render_panels(panels, columns=columns, style=STYLE)) for columns in (5, 2))

    assert panels_on(strip, STRONGEST) == panels_on(grid, STRONGEST) == 5
    assert strip.shape[0] < 220 < 3 * 90 < grid.shape[0]
    assert (grid[-90:-60, 160:] == PAPER).all()  # the place beside the fifth, right of the bar


def test_margins_are_even_and_nothing_touches_the_edge() -> None:
    """The same paper on the left and on the right, and more than none at the top and at the foot."""
    drawn = pixels(render_panels([Panel(PICTURE, heat(1.0), "a")] * 3, columns=3, style=STYLE))

    is_ink = np.abs(drawn.astype(int) - PAPER).max(axis=2) > 8
    rows, columns = np.flatnonzero(is_ink.any(axis=1)), np.flatnonzero(is_ink.any(axis=0))
    left, right = columns[0], drawn.shape[1] - 1 - columns[-1]
    top, foot = rows[0], drawn.shape[0] - 1 - rows[-1]
    assert left == right >= 12
    assert top >= 12
    assert foot >= 12


def test_a_note_that_has_no_room_beside_its_caption_stands_below_it() -> None:
    """Neither is written over the other."""
    short, long = (
        pixels(render_panels([Panel(PICTURE, caption=caption, note="99.8 %")], columns=1, style=STYLE))
        for caption in ("boar", "a castrate, I think")
    )

    assert 10 <= long.shape[0] - short.shape[0] <= 30


@pytest.mark.parametrize("width", [120, 384])
@pytest.mark.parametrize(
    "name",
    [
        "hind-leg-bruise-with-haemorrhage-and-fracture-grade-{}",
        "뒷다리 타박상 출혈 및 골절을 동반한 심각한 손상 등급 {}호",
    ],
)
def test_names_that_differ_only_at_their_ends_are_told_apart(name: str, width: int) -> None:
    """Thirty grades of one fault, cut to what they have in common, would be one."""
    columns = [name.format(number) for number in (1, 2)]
    panels = [Panel(PICTURE, caption=column) for column in columns]
    style = replace(STYLE, panel_width=width)

    captions = pixels(render_panels(panels, columns=2, style=style))
    headings = pixels(render_comparison([("", [Panel(PICTURE)] * 2)], models=columns, style=style))

    for drawn in (captions, headings):
        margin, gap = round(1.5 * max(width // 20, 12)), round(1.1 * max(width // 20, 12))
        first, second = (drawn[:, start : start + width] for start in (margin, margin + width + gap))
        assert (first != second).any()


def test_a_comparison_has_a_column_for_each_model_and_a_row_for_each_picture() -> None:
    rows = [(f"{name}.jpg", [Panel(PICTURE, heat(1.0), "boar", "98 %"), Panel(PICTURE)]) for name in "abc"]

    drawn = pixels(render_comparison(rows, models=["A", "B"], style=replace(STYLE, is_one_scale=False)))

    assert panels_on(drawn[:, : drawn.shape[1] // 2], STRONGEST) == 3
    assert panels_on(drawn[:, drawn.shape[1] // 2 :], np.array([90, 90, 90])) == 3


def test_a_comparison_with_a_hole_is_refused() -> None:
    with pytest.raises(ValueError, match="2 panels, one per model"):
        render_comparison([("a", [Panel(PICTURE)])], models=["A", "B"])


def test_a_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one tile"):
        render_panels([], columns=3)


def test_pictures_of_different_sizes_share_a_sheet() -> None:
    tall = Picture(Image.new("RGB", (90, 300), (10, 200, 10)), "PNG")

    drawn = pixels(render_panels([Panel(PICTURE), Panel(tall)], columns=2, style=STYLE))

    assert (drawn == (10, 200, 10)).all(axis=2).sum() == 72 * 240


@pytest.mark.parametrize(
    ("picture", "panel"),
    [
        ((768, 574), (384, 287)),
        ((600, 800), (384, 512)),
        ((45, 80), (384, 683)),
        ((90, 180), (384, 768)),
        ((90, 300), (230, 768)),
        ((12, 2000), (5, 768)),
        ((1, 65_000), (1, 768)),
        ((65_000, 1), (384, 1)),
    ],
)
def test_a_panel_is_as_wide_as_all_others_unless_it_would_be_taller_than_two_widths(
    picture: tuple[int, int], panel: tuple[int, int]
) -> None:
    """A file of 250 bytes may be a thousand times as tall as wide; it costs what any other costs."""
    plain = Picture(Image.new("RGB", picture, (10, 200, 10)), "PNG")

    drawn = pixels(render_panels([Panel(plain)], columns=1, style=Style(media_type="image/png")))

    is_picture = (drawn == (10, 200, 10)).all(axis=2)
    assert (is_picture.any(axis=0).sum(), is_picture.any(axis=1).sum()) == panel
    assert drawn.shape[1] == 384 + 2 * 28


@pytest.mark.parametrize("style", [Style(media_type="image/png"), replace(PER_LAYER, media_type="image/png")])
def test_a_narrow_picture_keeps_its_map_and_its_words(style: Style) -> None:
    """They have the width of a panel, whatever the picture leaves of it."""
    narrow = Picture(Image.new("RGB", (12, 2000), (90, 90, 90)), "PNG")
    values = np.linspace(0.0, 1.0, 49, dtype=np.float32).reshape(7, 7)
    shown = HeatMap(values, Affine(scale_x=12 / 7, scale_y=2000 / 7), (0.0, 0.0, 12.0, 2000.0))

    drawn = [
        pixels(render_panels([Panel(narrow, shown, caption)] * 2, columns=2, style=style))
        for caption in ("", "a castrate, I think")
    ]

    assert drawn[0].shape[1] == drawn[1].shape[1] == 2 * 384 + 21 + 2 * 28
    assert np.ptp(drawn[0][28:796, 28:33].astype(int), axis=0).max() > 100
    is_word = (drawn[1][796:830, 28:412] != PAPER).any(axis=2)
    assert np.ptp(np.flatnonzero(is_word.any(axis=0))) > 100


@pytest.mark.parametrize(("aspect", "tile"), [(4 / 3, (144, 108)), (0.006, (2, 288)), (1e-5, (1, 288))])
def test_a_channel_of_a_narrow_picture_is_no_taller_than_two_widths(
    aspect: float, tile: tuple[int, int]
) -> None:
    dead = [Channel(3, np.zeros((5, 5), np.float32), 0.0)]
    style = replace(CHANNELS, media_type="image/png", is_one_scale=False)

    drawn = pixels(render_contact_sheet(dead, aspect=aspect, style=style))

    is_dark = (drawn == color_table("viridis")[0]).all(axis=2)[18:, 18:][
        : tile[1] + 1
    ]  # its bar below has this colour too
    assert (is_dark[0].sum(), is_dark[:, 0].sum()) == tile


@given(
    contributions=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=7, unique=True),
    columns=st.integers(1, 9),
)
@settings(max_examples=25, deadline=None)
def test_channels_are_ranked_by_what_they_contribute(contributions: list[float], columns: int) -> None:
    """The strongest first: its tile has the strongest colour here."""
    order = np.argsort(np.argsort(contributions, stable=True), stable=True)
    channels = [
        Channel(number, np.full((2, 2), 1.0 + rank, np.float32), contribution)
        for number, (contribution, rank) in enumerate(zip(contributions, order, strict=True))
    ]
    sheet = render_contact_sheet(
        channels, aspect=4 / 3, columns=columns, style=replace(CHANNELS, media_type="image/png")
    )

    drawn = pixels(sheet)
    middle = drawn[18 + 54, 18 + 72]  # of the first tile, within the margin
    assert np.abs(middle.astype(int) - color_table("viridis")[255]).max() <= 1


def test_a_channel_that_is_never_active_is_dark_and_not_stretched() -> None:
    """On its own scale too."""
    dead = [Channel(3, np.zeros((5, 5), np.float32), 0.0)]
    style = replace(CHANNELS, media_type="image/png", is_one_scale=False)

    drawn = pixels(render_contact_sheet(dead, aspect=1.0, style=style))

    assert (drawn == color_table("viridis")[0]).all(axis=2).sum() >= 144 * 144


@given(values=st.lists(st.floats(width=32), min_size=12, max_size=12))
@settings(max_examples=25, deadline=None)
def test_sheets_of_any_numbers_are_drawn(values: list[float]) -> None:
    """NaN, infinities and all."""
    wild = HeatMap(np.array(values, np.float32).reshape(3, 4), Affine(30, 0, 30, 0), (0.0, 0.0, 120.0, 90.0))

    sheet = render_strip(PICTURE, [("a", wild), ("b", heat(1.0))], style=replace(PER_LAYER, contours=(0.5,)))

    assert sheet.media_type == "image/jpeg"
    assert sheet.data
