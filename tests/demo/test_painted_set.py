"""Many paintings at once, and how a network is measured on them."""

import numpy as np
import pytest
import torch

from app.demo.evaluation import alignments, evaluate, place
from app.demo.painted_set import every_class, one_class_each, paint_set
from app.demo.painter import paint
from app.domain import Affine, Geometry, NetworkSpec, Resize, Size
from app.nets.servable import Servable, build_servable

SIZE = Size(108, 144)
GEOMETRY = Geometry(steps=(Resize(SIZE, "bilinear"),))


def fresh() -> Servable:
    """The demo's network before its first step."""
    torch.manual_seed(0)
    return build_servable(NetworkSpec("cifar_resnet14", 3, SIZE))


def test_worker_count_changes_nothing() -> None:
    """The set comes in the order of its jobs, whoever painted it."""
    jobs = one_class_each(range(4))

    alone, together = (paint_set(jobs, GEOMETRY, workers=n) for n in (1, 2))

    assert np.array_equal(alone.images, together.images)
    assert np.array_equal(alone.cue_mask(3), paint(*jobs[3]).cue_mask)
    assert np.array_equal(alone.packed_masks, together.packed_masks)
    assert alone.targets.tolist() == [0, 1, 2, 0]


def test_every_scene_is_trained_on_in_every_class() -> None:
    """Otherwise the scene could give the class away."""
    assert every_class([5]) == [("castrate", 5), ("boar", 5), ("female", 5)]


def test_a_map_on_the_cue_points_at_it_by_the_alignment_that_put_it_there() -> None:
    """One cell of 4 x 4 input pixels, brought back through the resize; the other rule lies 1.5 pixels beside it."""
    to_painting = Affine(scale_x=768 / 144, scale_y=574 / 108)
    places = alignments(fresh())
    heat = np.zeros((27, 36), np.float32)
    heat[20, 22] = 1
    x, y = 88.5 * 768 / 144, 80.5 * 574 / 108
    mask = np.zeros((574, 768), np.bool_)
    mask[round(y) - 3 : round(y) + 3, round(x) - 3 : round(x) + 3] = True

    aligned = place(heat, places["receptive_field"].then(to_painting), mask)
    stretched = place(heat, places["half_pixel"].then(to_painting), mask)

    assert aligned.is_pointing
    assert not stretched.is_pointing
    assert aligned.peak == pytest.approx((0, 0), abs=0.5)
    assert stretched.peak == pytest.approx((8, 8), abs=0.6)
    assert aligned.hottest == pytest.approx((0, 0), abs=1)
    assert 0 < stretched.share_inside < aligned.share_inside < 1


def test_a_map_without_evidence_points_nowhere() -> None:
    """And divides by nothing."""
    nowhere = place(
        -np.ones((3, 3), np.float32), Affine(scale_x=10, scale_y=10), np.zeros((30, 30), np.bool_)
    )

    assert not nowhere.is_pointing
    assert nowhere.share_inside == 0.0


def test_score_of_an_untrained_network_is_poor() -> None:
    """The measure can fail: chance is a third of the classes and a fiftieth of the pixels."""
    painted = paint_set(one_class_each(range(9)), GEOMETRY)

    score = evaluate(fresh(), painted).score()

    assert score.count == 9
    assert score.accuracy < 0.7
    assert score.pointing < 0.7
