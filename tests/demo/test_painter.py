"""The painter's promises: deterministic, and nothing but the cue tells the classes apart."""

import numpy as np
import pytest

from app.demo.painter import CLASSES, Painting, paint

SEEDS = range(500, 510)


@pytest.fixture(scope="module")
def paintings() -> dict[tuple[str, int], Painting]:
    """Every class at every seed."""
    return {(name, seed): paint(name, seed) for name in CLASSES for seed in SEEDS}


def test_same_seed_same_pixels() -> None:
    """A painting is a pure function of its class and seed."""
    first, second = paint("boar", 7), paint("boar", 7)

    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.cue_mask, second.cue_mask)


def test_another_seed_is_another_scene(paintings: dict[tuple[str, int], Painting]) -> None:
    """Pose, light, ink and backdrop come from the seed."""
    images = [paintings["female", seed].image.astype(int) for seed in SEEDS]

    differences = [np.abs(one - other).mean() for one, other in zip(images[1:], images[:-1], strict=True)]

    assert min(differences) > 5


def test_classes_differ_only_inside_the_mask(paintings: dict[tuple[str, int], Painting]) -> None:
    """Pose, light, ink, bar and backdrop never hear of the class: outside both masks no pixel differs."""
    for seed in SEEDS:
        for one, other in (("castrate", "boar"), ("boar", "female"), ("female", "castrate")):
            left, right = paintings[one, seed], paintings[other, seed]

            differs = (left.image != right.image).any(axis=2)

            assert differs.any()
            assert not (differs & ~(left.cue_mask | right.cue_mask)).any()


def test_mask_is_a_small_part_of_the_picture(paintings: dict[tuple[str, int], Painting]) -> None:
    """A pointing game is worth something only where the target is small: chance is below 4 %."""
    for painting in paintings.values():
        assert 0.008 < painting.cue_mask.mean() < 0.04


def test_mask_never_touches_the_edge(paintings: dict[tuple[str, int], Painting]) -> None:
    """The cue hangs inside the picture in every pose."""
    for painting in paintings.values():
        inner = painting.cue_mask[8:-8, 8:-8]
        assert inner.sum() == painting.cue_mask.sum()


def test_form_and_colours_are_those_of_the_camera(paintings: dict[tuple[str, int], Painting]) -> None:
    """768 x 574 RGB, and blown highlights as in the real photographs: 27 to 43 % of the pixels there."""
    assert all(p.image.shape == (574, 768, 3) and p.image.dtype == np.uint8 for p in paintings.values())
    saturated = [(painting.image == 255).any(axis=2).mean() for painting in paintings.values()]
    assert 0.27 < np.mean(saturated) < 0.40


def test_cue_colours_do_not_give_the_class_away(paintings: dict[tuple[str, int], Painting]) -> None:
    """The mean colour of a picture differs less between classes than between carcasses."""
    means = np.array([[paintings[name, seed].image.mean((0, 1)) for seed in SEEDS] for name in CLASSES])

    between_classes, between_carcasses = means.mean(1).std(0).max(), means.mean(0).std(0).min()

    assert between_classes < 0.1 * between_carcasses


def test_unknown_class_is_refused() -> None:
    """A typing error is not painted."""
    with pytest.raises(ValueError, match="castrate, boar, female"):
        paint("sow", 1)
