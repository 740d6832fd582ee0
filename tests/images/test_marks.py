"""Promises of contours, boxes, legends and words: where they are said to be, legible, and never in the way."""

from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from app.domain import Affine
from app.images.decode import Picture
from app.images.heat import Scale
from app.images.overlay import Legend, Region, render_overlay
from app.images.text import fitted, font_for, font_of, in_two_lines, number, signed_number, width_of

WIDTH, HEIGHT = 320, 240
SLOPE = np.tile(np.linspace(0, 4, 8, dtype=np.float32), (6, 1))
"""Rises from left to right, 0.571 logits a cell."""
SIGNS = "aW é거힣\n\t\u200b\u4444\U0001f600…"
"""Of every kind: also those that the font has not, and those that are no signs."""


def drawn(
    heat: NDArray[np.float32] = SLOPE,
    *,
    grey: int = 128,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    **options: Any,
) -> NDArray[np.int16]:
    picture = Picture(Image.new("RGB", size, (grey, grey, grey)), "PNG")
    cells = Affine(scale_x=size[0] / heat.shape[1], scale_y=size[1] / heat.shape[0])
    seen = (0.0, 0.0, float(size[0]), float(size[1]))
    options = {"opacity": 0.01, "max_side": 4000} | options
    overlay = render_overlay(picture, heat, cells, seen, media_type="image/png", **options)
    with Image.open(BytesIO(overlay.data)) as image:
        assert image.size == (overlay.width, overlay.height)
        return np.asarray(image).astype(np.int16)


# --- contours ----------------------------------------------------------------------------------


def test_a_contour_runs_where_the_map_has_that_share_of_its_peak() -> None:
    """Half of the peak of a slope is its middle; the line is thin, and dark beside its white."""
    pixels = drawn(contours=(0.5,))[..., 1]

    row = pixels[HEIGHT // 2]
    assert abs(row.argmax() - WIDTH / 2) <= 1
    assert row.max() > 200
    assert row.min() < 100
    assert (np.abs(row - 128) > 20).sum() <= 10
    assert (pixels.argmax(axis=1) == row.argmax()).all()


@pytest.mark.parametrize("value", [0.0, 2.0, -2.0])
def test_a_plateau_has_no_contour(value: float) -> None:
    """Even one that is exactly as high as the threshold."""
    flat = np.full((6, 8), value, np.float32)

    assert np.array_equal(drawn(flat, contours=(0.0, 0.5, 1.0)), drawn(flat))


def test_contours_of_a_signed_map_have_a_sign() -> None:
    pixels = drawn(SLOPE - 2, normalization="signed", contours=(-0.5, 0.5))[HEIGHT // 2, :, 1]

    lines = np.flatnonzero(pixels > 190)
    assert lines.min() < WIDTH / 2 - 40
    assert lines.max() > WIDTH / 2 + 40


# --- boxes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_box_is_seen_on_any_background(grey: int) -> None:
    """White with a dark edge; inside it the picture is untouched."""
    pixels = drawn(grey=grey, opacity=0.0, regions=[Region((60, 50, 160, 150))])[..., 0]

    assert (pixels[50, 60:160] == 255).all()
    assert (pixels[50:150, 159] == 255).all()
    assert pixels[49, 60:160].max() < 128
    assert (pixels[54:146, 64:156] == grey).all()
    assert (pixels[:48] == grey).all()


@given(
    box=st.tuples(*[st.floats(-500, 900) for _ in range(4)]),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    label=st.text(SIGNS, max_size=30),
)
@settings(max_examples=60, deadline=None)
def test_any_box_on_any_picture_is_drawn_or_left_out_but_never_fails(
    box: tuple[float, float, float, float], size: tuple[int, int], label: str
) -> None:
    """Empty, turned round, outside, on one pixel; with any label."""
    x0, y0, x1, y1 = box

    pixels = drawn(size=size, regions=[Region((x0, y0, x1, y1), label)])

    assert pixels.shape == (size[1], size[0], 3)


def test_labels_do_not_hide_each_other() -> None:
    """Three boxes at one place have three labels, each in a place of its own."""

    def tabs(count: int) -> int:
        box = (300.0, 200.0, 420.0, 320.0)
        with_label, without = (
            drawn(opacity=0.0, size=(768, 574), regions=[Region(box, label)] * count)
            for label in ("61 %", "")
        )
        return int((with_label != without).any(axis=2).sum())

    assert tabs(3) >= 2.7 * tabs(1) > 0


def test_a_label_at_the_top_of_the_picture_is_drawn_below_its_edge() -> None:
    """Nothing of it is cut off."""
    middle = drawn(opacity=0.0, regions=[Region((100, 100, 180, 160), "거세 61 %")])
    top = drawn(opacity=0.0, regions=[Region((100, 0, 180, 60), "거세 61 %")])

    assert (top[..., 0] < 60).sum() >= (middle[..., 0] < 60).sum() - 20


# --- the legend --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(320, 240), (768, 574), (4000, 3000), (60, 40)])
def test_a_legend_stands_below_the_picture_and_leaves_it_as_it_is(size: tuple[int, int]) -> None:
    plain = drawn(size=size, opacity=0.6)
    with_legend = drawn(size=size, opacity=0.6, legend=Legend("boar 99.8 %"))

    assert np.array_equal(with_legend[: size[1]], plain)
    below = with_legend[size[1] :]
    assert below.shape[1] == size[0]
    assert 12 <= len(below) <= 70 + size[1] // 8
    assert below.min() < 90  # words
    assert (below[-1] == below[-1, 0]).all()  # and paper under them


def test_the_bar_shows_the_colours_as_they_are_on_the_picture() -> None:
    """From transparent over the middle grey to the strongest, at the opacity of the map."""
    pixels = drawn(opacity=1.0, legend=Legend())

    bar = pixels[HEIGHT + 14]
    columns = np.flatnonzero(np.abs(bar - bar[0]).sum(axis=1))
    assert np.abs(bar[columns[0]] - 118).max() <= 2
    assert np.abs(bar[columns[-1]] - np.array([252, 255, 164])).max() <= 2


def test_a_legend_of_nothing_has_no_colours() -> None:
    """The bar is grey when no evidence is shown."""
    below = drawn(np.zeros((6, 8), np.float32), opacity=0.6, legend=Legend("boar"))[HEIGHT:]

    assert np.ptp(below, axis=2).max() <= 14


def test_a_legend_says_the_scale_that_was_given() -> None:
    """Two pictures on one scale have the same legend, whatever their own peaks."""
    scale = Scale(0.0, 6.0)

    weak, strong = (drawn(SLOPE * factor, scale=scale, legend=Legend("a"))[HEIGHT:] for factor in (0.1, 1.0))

    assert np.array_equal(weak, strong)
    assert not np.array_equal(strong, drawn(legend=Legend("a"))[HEIGHT:])


# --- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize("syllable", ["거", "세", "수", "암", "뷁", "힣", "A", "é", "\N{MINUS SIGN}", "·"])
def test_words_of_both_languages_are_in_the_font_that_comes_with_the_package(syllable: str) -> None:
    """Any modern syllable, not only the common ones: none is the empty box."""
    font = font_of(24)

    assert bytes(font.face.getmask(syllable)) != bytes(font.face.getmask("\U0010fffd"))


@given(text=st.text(SIGNS, max_size=80), width=st.integers(0, 300))
@settings(max_examples=80, deadline=None)
def test_a_line_fits_where_it_is_written(text: str, width: int) -> None:
    font = font_of(14)

    lines = in_two_lines(text, font, width)

    assert len(lines) <= 2
    for line in (fitted(text, font, width), *lines):
        assert not line or width_of(line, font) <= width
        assert line.isprintable()


def test_a_cut_line_keeps_its_beginning_and_its_end() -> None:
    font = font_of(14)

    line = fitted("castrate, seen from the inside of the ham", font, 100)

    assert line.startswith("cast")
    assert "…" in line
    assert line.endswith("ham")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("boar", ["boar"]),
        ("", []),
        ("hind-leg-bruise-grade-3", ["hind-leg-bruise-", "grade-3"]),
        ("bruise of the hind leg", ["bruise of the hind", "leg"]),
        ("layer4.2.conv3.weight.bias", ["layer4.2.conv3.", "weight.bias"]),
        ("haemorrhageandfracture", ["haemorrhageandf", "racture"]),
    ],
)
def test_two_lines_are_parted_where_a_part_of_the_name_ends(text: str, lines: list[str]) -> None:
    assert in_two_lines(text, font_of(14), 120) == lines


def test_what_two_lines_are_too_few_for_keeps_its_end() -> None:
    first, second = in_two_lines("hind-leg-bruise-with-haemorrhage-and-fracture-grade-3", font_of(14), 120)

    assert first == "hind-leg-bruise-"
    assert second.startswith("with-")
    assert second.endswith("grade-3")


def test_text_grows_with_the_picture_within_reason() -> None:
    sizes = [
        font_for(*size).em for size in ((10, 10), (320, 239), (768, 574), (4000, 3000), (40_000, 30_000))
    ]

    assert sizes[0] == sizes[1] == 12
    assert sizes[2] == 17
    assert sizes[4] == 96
    assert all(small <= large for small, large in pairwise(sizes))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (6.2149, "6.21"), (-0.4821, "\N{MINUS SIGN}0.482"), (72.96, "73.0"), (1240.4, "1,240"),
        (0.36, "0.360"), (3.2e-7, "3.2e-07"), (2.5e9, "2.5e+09"), (float("nan"), "?"), (float("-inf"), "?"),
    ],
)  # fmt: skip
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_a_contribution_has_its_sign() -> None:
    assert [signed_number(value) for value in (1.5, -1.5, 0.0)] == ["+1.50", "\N{MINUS SIGN}1.50", "0"]
