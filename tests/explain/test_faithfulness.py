"""Deletion and insertion, against the exact numbers in torchcam's tests (tests/test_metrics.py, 0.5.0)."""

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from app.domain import Affine, Size
from app.explain.faithfulness import (
    Curve,
    Faithfulness,
    average_drop,
    curve,
    deletion,
    insertion,
    pixel_order,
    shuffled,
)


def grey(values: object) -> NDArray[np.uint8]:
    """An image whose pixels add up to one hundred."""
    levels = np.asarray(values, dtype=np.float64) * 100
    return np.repeat(np.rint(levels)[..., None], 3, axis=2).astype(np.uint8)


def scores(images: Iterable[NDArray[np.uint8]]) -> list[float]:
    """torchcam's stand-in for a network: the sum of the pixels."""
    return [float(image[..., 0].sum()) / 100 for image in images]


@pytest.mark.parametrize(
    ("values", "steps", "fractions", "deleted", "inserted", "areas"),
    [
        ([[0.4, 0.3], [0.2, 0.1]], 2, [0.0, 0.5, 1.0], [1.0, 0.3, 0.0], [0.0, 0.7, 1.0], (0.4, 0.6)),
        (
            [[0.3, 0.25, 0.2, 0.15, 0.1]],
            3,
            [0.0, 0.4, 0.8, 1.0],
            [1.0, 0.45, 0.1, 0.0],
            [0.0, 0.55, 0.9, 1.0],
            (0.41, 0.59),
        ),
    ],
)
def test_curves_are_those_that_torchcam_publishes(
    values: list[list[float]],
    steps: int,
    fractions: list[float],
    deleted: list[float],
    inserted: list[float],
    areas: tuple[float, float],
) -> None:
    image = grey(values)
    size = Size(*image.shape[:2])
    order = pixel_order(np.array(values, dtype=np.float32), size, Affine())
    black = np.zeros_like(image)

    without = curve(scores(deletion(image, order, fill=black, steps=steps)), pixels=order.size, steps=steps)
    growing = curve(scores(insertion(image, order, fill=black, steps=steps)), pixels=order.size, steps=steps)

    assert without.fractions == pytest.approx(fractions)
    assert without.probabilities == pytest.approx(deleted)
    assert growing.probabilities == pytest.approx(inserted)
    assert (without.area, growing.area) == pytest.approx(areas)


def test_average_drop_is_what_torchcam_publishes() -> None:
    """Image [[.4, .3], [.2, .1]], map [[1, 0], [0, 0]]: 0.4 of 1 is left."""
    assert average_drop([1.0], [0.4]) == pytest.approx(0.6)
    assert average_drop([1.0, 0.5], [0.4, 0.9]) == pytest.approx(0.3)  # a rise is no drop


def test_pixels_go_in_the_order_of_the_map_as_it_is_drawn() -> None:
    """2 x 2 cells over 8 x 8 pixels: the strongest corner first, the weakest last."""
    order = pixel_order(np.array([[1, 2], [4, 3]], dtype=np.float32), Size(8, 8), Affine(4, 0, 4, 0))

    assert sorted(order.tolist()) == list(range(64))
    assert set(order[:4].tolist()) == {6 * 8, 6 * 8 + 1, 7 * 8, 7 * 8 + 1}
    assert set(order[-4:].tolist()) == {0, 1, 8, 9}


def test_images_begin_and_end_with_the_whole_and_are_independent() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    fill = np.full_like(image, 5)
    order = pixel_order(np.arange(63, dtype=np.float32).reshape(9, 7), Size(9, 7), Affine())

    going, coming = list(deletion(image, order, fill=fill)), list(insertion(image, order, fill=fill))

    assert (going[0] == image).all()
    assert (going[-1] == fill).all()
    assert (coming[0] == fill).all()
    assert (coming[-1] == image).all()
    assert len(going) <= 11
    changed = [int((picture != image).any(axis=2).sum()) for picture in going]
    assert changed == sorted(changed)


def test_a_curve_needs_an_answer_for_every_image() -> None:
    with pytest.raises(ValueError, match="11 images were made, 2 probabilities"):
        curve([1.0, 0.0], pixels=100)


def test_the_random_map_has_the_same_numbers_and_the_same_picture_the_same_map() -> None:
    cells = np.arange(49, dtype=np.float32).reshape(7, 7)
    image = np.zeros((8, 8, 3), dtype=np.uint8)

    random = shuffled(cells, image)

    assert sorted(random.ravel().tolist()) == sorted(cells.ravel().tolist())
    assert (random != cells).any()
    assert (shuffled(cells, image) == random).all()
    assert (shuffled(cells, image + 1) != random).any()


def test_a_map_is_better_than_random_only_by_both_curves() -> None:
    def with_area(area: float) -> Curve:
        return Curve((0.0, 1.0), (area, area), area)

    def better(*areas: float) -> bool:
        return Faithfulness(*[with_area(area) for area in areas]).is_better_than_random

    assert better(0.2, 0.8, 0.5, 0.5)
    assert not better(0.6, 0.8, 0.5, 0.5)
    assert not better(0.2, 0.5, 0.5, 0.5)
