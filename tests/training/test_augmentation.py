"""Varied pictures: the right movement, nothing from outside, the same whatever shares the batch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.pictures import pixels
from torch import Tensor

from app.training.augmentation import draws_of, varied
from app.training.configuration import Augmentation
from app.training.presets import AUGMENTATIONS

ROTATION, DOWN, RIGHT, SHEAR, ZOOM_Y, ZOOM_X, FLIP_H, FLIP_V = range(8)


def one(**columns: float) -> np.ndarray:
    """Draws in the middle (nothing happens), but for these: -1..1."""
    draws = np.full((1, 8), 0.5)
    for name, value in columns.items():
        draws[0, globals()[name]] = (value + 1) / 2
    return draws


@pytest.fixture
def picture() -> Tensor:
    return torch.tensor(pixels(3, width=24, height=16))[None]


def test_no_augmentation_changes_nothing(picture: Tensor) -> None:
    assert torch.equal(varied(picture, draws_of(0, 0, 1), Augmentation()), picture)


def test_pictures_of_one_group_are_varied_alike_and_others_otherwise() -> None:
    """Two groups of two."""
    alike, single = (draws_of(1, 2, 4, groups=groups) for groups in (np.array([0, 1, 0, 1]), None))

    assert (alike[0] == alike[2]).all()
    assert (alike[1] == alike[3]).all()
    assert (alike[0] != alike[1]).all()
    assert (single[0] != single[2]).all()


def test_middling_draws_change_nothing_by_resampling(picture: Tensor) -> None:
    how = Augmentation(rotation_degrees=40.0, shift=0.1, shear_degrees=9.0, zoom=0.2)

    assert torch.equal(varied(picture, one(), how), picture)


def test_a_shift_moves_by_its_share_and_repeats_the_border(picture: Tensor) -> None:
    moved = varied(picture, one(RIGHT=1.0, DOWN=-0.5), Augmentation(shift=0.25))

    # The matrix goes backwards: a varied pixel is taken from 6 columns to the right and 2 rows further up.
    assert torch.equal(moved[:, 2:, :18], picture[:, :14, 6:])
    assert torch.equal(moved[:, 2:, 18:], picture[:, :14, 23:].expand(-1, -1, 6, -1))


def test_a_right_angle_is_exact() -> None:
    square = torch.tensor(pixels(4, width=16, height=16))[None]

    turned = varied(square, one(ROTATION=1.0), Augmentation(rotation_degrees=90.0))

    assert torch.equal(turned, square.rot90(1, (1, 2))) or torch.equal(turned, square.rot90(-1, (1, 2)))


@pytest.mark.parametrize("degrees", [20.0, 45.0, 90.0])
def test_a_rotation_keeps_a_disc_in_a_picture_that_is_no_square(degrees: float) -> None:
    """Shares of the sides in place of pixels would make an ellipse of it."""
    y, x = np.mgrid[:40, :80] + 0.5
    disc = 255 * ((x - 40) ** 2 + (y - 20) ** 2 < 15**2)
    picture = torch.tensor(disc.astype(np.uint8))[None, :, :, None].repeat(1, 1, 1, 3)

    turned = varied(picture, one(ROTATION=1.0), Augmentation(rotation_degrees=degrees))

    assert ((turned.int() - picture.int()).abs() > 200).sum() == 0


def test_flips_are_half_of_the_pictures() -> None:
    images = torch.tensor(pixels(5, width=8, height=8))[None].repeat(400, 1, 1, 1)

    flipped = varied(images, draws_of(1, 0, 400), Augmentation(flip_horizontal=True))

    count = sum(torch.equal(a, b.flip(1)) for a, b in zip(flipped, images, strict=True))
    assert 160 < count < 240
    assert count + sum(torch.equal(a, b) for a, b in zip(flipped, images, strict=True)) == 400


@pytest.mark.parametrize("preset", ["carcass", "cats-and-dogs", "posture", "digits"])
def test_a_picture_is_varied_alike_in_any_batch(preset: str) -> None:
    images = torch.stack([torch.tensor(pixels(seed, width=20, height=12)) for seed in range(6)])
    draws, how = draws_of(2, 5, 6), Augmentation.model_validate({"preset": preset})

    together = varied(images, draws, how)

    assert torch.equal(together[3:5], varied(images[3:5], draws[3:5], how))
    assert not torch.equal(together, images)


@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(AUGMENTATIONS)))
def test_nothing_comes_from_outside_the_picture(seed: int, preset: str) -> None:
    flat = torch.full((2, 9, 7, 3), 77, dtype=torch.uint8)

    assert torch.equal(
        varied(flat, draws_of(seed, 0, 2), Augmentation.model_validate({"preset": preset})), flat
    )


def test_another_epoch_varies_otherwise() -> None:
    assert not np.array_equal(draws_of(0, 0, 4), draws_of(0, 1, 4))
    assert np.array_equal(draws_of(0, 1, 4), draws_of(0, 1, 4))
