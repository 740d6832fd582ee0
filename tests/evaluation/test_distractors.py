"""Ink and backdrop are found by colour, painted over, and the control paints as much."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from app.evaluation.distractors import distractors_of, painted_over, random_blocks

FLESH, BACKDROP, BLOOD = (244, 206, 190), (23, 27, 56), (150, 40, 38)


def carcass(scale: int = 1) -> tuple[Image.Image, Image.Image]:
    """Flesh on a dark blue wall with blood; and where its ink is."""
    size = 384 * scale, 288 * scale
    picture, ink = Image.new("RGB", size, BACKDROP), Image.new("L", size)
    ImageDraw.Draw(picture).ellipse([v * scale for v in (40, 30, 350, 250)], FLESH)
    ImageDraw.Draw(picture).ellipse([v * scale for v in (200, 150, 240, 190)], BLOOD)
    line = [v * scale for v in (120, 80, 180, 130)]
    for canvas, colour in ((picture, (186, 35, 126)), (ink, 255)):
        ImageDraw.Draw(canvas).line(line, colour, 5 * scale)
    ImageDraw.Draw(picture).line([v * scale for v in (90, 120, 120, 150)], (70, 62, 120), 3 * scale)
    ImageDraw.Draw(ink).line([v * scale for v in (90, 120, 120, 150)], 255, 3 * scale)
    return picture, ink


@pytest.mark.parametrize("scale", [1, 3])
def test_ink_and_backdrop_are_told_from_flesh_and_blood(scale: int) -> None:
    picture, ink = carcass(scale)

    seen = distractors_of(picture)

    size = seen.ink.shape[::-1]
    truth = np.asarray(ink.resize(size, Image.Resampling.BOX)) > 127
    wall = np.abs(np.asarray(picture.resize(size, Image.Resampling.NEAREST), int) - BACKDROP).sum(2) == 0
    assert max(size) <= 768
    assert (seen.ink & truth).sum() > 0.9 * truth.sum()
    assert (seen.ink & ~truth).sum() < 0.2 * truth.sum()
    assert (seen.backdrop == wall).mean() > 0.98


def test_what_is_painted_over_leaves_no_colour_behind() -> None:
    picture, _ = carcass()

    clean = painted_over(picture, distractors_of(picture).ink)

    assert not distractors_of(clean).ink.any()
    changed = np.abs(np.asarray(clean, int) - np.asarray(picture, int)).max(axis=2) > 8
    assert changed.mean() < 0.05


def test_the_backdrop_becomes_one_colour_and_the_carcass_stays() -> None:
    picture, _ = carcass()
    seen = distractors_of(picture)

    painted = np.asarray(painted_over(picture, seen.backdrop, (90.0, 90.0, 90.0)))

    assert (painted[:20] == 90).all()
    assert (painted[120:160, 160:190] == np.asarray(picture)[120:160, 160:190]).all()


def test_the_control_is_as_large_and_keeps_to_its_place() -> None:
    allowed = np.zeros((288, 384), bool)
    allowed[:, 100:] = True

    control = random_blocks(allowed, 700, 4, np.random.default_rng(3))

    assert 700 <= control.sum() < 720
    assert not (control & ~allowed).any()
    assert random_blocks(allowed, 10**6, 4, np.random.default_rng(3)).sum() == allowed.sum()
    assert not random_blocks(allowed, 0, 4, np.random.default_rng(3)).any()


def test_the_photographs_have_ink_and_backdrop_where_people_see_them(carcass_photographs: list[Path]) -> None:
    """The named carcasses are written on, and a quarter of each picture is wall."""
    shares = {}
    for path in carcass_photographs:
        with Image.open(path) as picture:
            seen = distractors_of(picture.convert("RGB"))
        shares[path.stem] = float(seen.ink.mean())
        assert 0.15 < seen.backdrop.mean() < 0.4, path.name

    written = {"M1", "M3", "M4"}
    assert min(shares[name] for name in written) > 0.002
    assert max(shares.values()) < 0.02
    assert shares["B1"] < 0.0005
