"""What the recipe promises about its parts."""

import numpy as np
import torch

from app.demo.evaluation import evaluate, peak
from app.demo.painted_set import every_class, one_class_each, paint_set
from app.demo.painter import paint
from app.demo.recipe import manifest, train, varied
from app.domain import Affine
from app.nets.servable import build_servable


def test_worker_count_changes_nothing() -> None:
    """The set comes in the order of its jobs, whoever painted it."""
    jobs = one_class_each(range(4))

    alone, together = (paint_set(jobs, manifest().geometry(), workers=n) for n in (1, 2))

    assert np.array_equal(alone.images, together.images)
    assert np.array_equal(alone.cue_mask(3), paint(*jobs[3]).cue_mask)
    assert np.array_equal(alone.packed_masks, together.packed_masks)
    assert alone.targets.tolist() == [0, 1, 2, 0]


def test_every_scene_is_trained_on_in_every_class() -> None:
    """Otherwise the scene could give the class away."""
    assert every_class([5]) == [("castrate", 5), ("boar", 5), ("female", 5)]


def test_training_is_repeatable() -> None:
    """Same seed, same weights: what is committed can be made again."""
    painted = paint_set(every_class(range(4)), manifest().geometry())

    def weights() -> torch.Tensor:
        torch.manual_seed(3)
        servable = build_servable(manifest().network_spec())
        list(train(servable, painted, epochs=1))
        return torch.cat([tensor.flatten() for tensor in servable.parameters()])

    assert torch.equal(weights(), weights())


def test_moved_picture_repeats_its_border() -> None:
    """A moved picture holds no black bars that would tell how far it moved."""
    images = torch.full((2, 20, 30, 3), 7, dtype=torch.uint8)

    assert torch.equal(varied(images), images)


def test_peak_is_a_pixel_of_the_painting() -> None:
    """The cell's middle, brought back through stride and resize."""
    evidence = torch.zeros(27, 36)
    evidence[20, 22] = 1

    row, column = peak(evidence, 4, Affine(scale_x=768 / 144, scale_y=574 / 108))

    assert (row, column) == (int(80.5 * 574 / 108), int(88.5 * 768 / 144))


def test_score_of_an_untrained_network_is_poor() -> None:
    """The measure can fail: chance is a third of the classes and a fiftieth of the pixels."""
    torch.manual_seed(0)
    painted = paint_set(one_class_each(range(9)), manifest().geometry())

    score = evaluate(build_servable(manifest().network_spec()), painted)

    assert score.count == 9
    assert score.accuracy < 0.7
    assert score.pointing < 0.7
