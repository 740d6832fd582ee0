"""What the evidence says: the arithmetic of maps and where their cells lie."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import Affine, Size, Target
from app.explain.maps import (
    cell_to_input,
    cell_to_input_by_receptive_field,
    evidence_map,
    field_of_view,
    softmax,
    target_weights,
)


def test_map_and_bias_add_up_to_the_logit() -> None:
    """logit = bias + mean(values), for every class."""
    generator = np.random.default_rng(0)
    evidence = generator.normal(size=(3, 5, 7)).astype(np.float32)
    logits = evidence.mean(axis=(1, 2)) + np.array([0.5, -1.0, 2.0], dtype=np.float32)

    for index, bias in enumerate([0.5, -1.0, 2.0]):
        explained = evidence_map(evidence, logits, Target(index))
        assert explained.bias == pytest.approx(bias, abs=1e-6)
        assert explained.bias + explained.values.mean() == pytest.approx(float(logits[index]), abs=1e-6)
        assert explained.positive_fraction == pytest.approx((evidence[index] > 0).mean())
        assert explained.status == "ok"


def test_map_without_positive_evidence_says_so() -> None:
    """Instead of a blank picture that looks like a fault."""
    evidence = -np.ones((2, 3, 3), dtype=np.float32)

    explained = evidence_map(evidence, np.array([-1.0, -1.0], dtype=np.float32), Target(0))

    assert explained.status == "no_positive_evidence"
    assert explained.positive_fraction == 0.0


def test_contrast_splits_the_margin() -> None:
    """margin = bias + mean(values), whatever speaks for both cancels, and the bias is the biases' difference."""
    generator = np.random.default_rng(1)
    evidence = generator.normal(size=(3, 4, 4)).astype(np.float32)
    evidence[:, 0, 0] = 100.0
    logits = evidence.mean(axis=(1, 2)) + np.array([0.5, -1.0, 2.0], dtype=np.float32)

    explained = evidence_map(evidence, logits, Target(0, against=2))

    assert explained.rule == "margin = bias + mean(values)"
    assert explained.bias == pytest.approx(0.5 - 2.0, abs=1e-4)
    assert explained.bias + explained.values.mean() == pytest.approx(float(logits[0] - logits[2]), abs=1e-4)
    assert explained.values[0, 0] == 0.0
    opposite = evidence_map(evidence, logits, Target(2, against=0))
    np.testing.assert_allclose(opposite.values, -explained.values, rtol=1e-6)


def test_probability_map_is_the_slope_of_the_probability() -> None:
    """A small step along the evidence changes the probability by what the map says; no rule is claimed."""
    generator = np.random.default_rng(2)
    evidence = generator.normal(size=(4, 3, 5)).astype(np.float32)
    logits = generator.normal(size=4).astype(np.float32)

    explained = evidence_map(evidence, logits, Target(1, "probability"))

    step = 1e-3
    further = softmax(logits + np.float32(step) * evidence.mean(axis=(1, 2)))[1] - softmax(logits)[1]
    assert explained.values.mean() == pytest.approx(further / step, rel=1e-2)
    assert (explained.unit, explained.rule, explained.bias) == ("probability", None, None)
    assert abs(target_weights(logits, Target(1, "probability")).sum()) < 1e-12


@pytest.mark.parametrize("target", [Target(1), Target(1, against=0), Target(1, "probability"), Target()])
def test_flat_evidence_gives_a_flat_map_and_no_invented_number(target: Target) -> None:
    """A grey picture: zeros, stated as no positive evidence, and no NaN."""
    evidence = np.zeros((3, 2, 2), dtype=np.float32)

    explained = evidence_map(evidence, np.zeros(3, dtype=np.float32), replace(target, class_index=1))

    assert explained.status == "no_positive_evidence"
    assert not explained.values.any()
    assert np.isfinite(explained.values).all()
    assert explained.bias in {0.0, None}


def test_softmax_survives_logits_of_any_size() -> None:
    """No overflow, and the rows add up to one."""
    logits = np.array([[1e4, -1e4, 0.0], [3e38, 3e38, -3e38]], dtype=np.float32)

    probabilities = softmax(logits)

    assert probabilities.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert probabilities[0] == pytest.approx([1.0, 0.0, 0.0])
    assert probabilities[1] == pytest.approx([0.5, 0.5, 0.0])


@given(
    height=st.integers(1, 50),
    width=st.integers(1, 50),
    cell=st.integers(1, 40),
    margin=st.sampled_from([0, 1, 2]),
)
def test_cells_with_their_margin_tile_the_input(height: int, width: int, cell: int, margin: int) -> None:
    """The trunk's cells fill the input; a head without padding leaves the margin out."""
    rows, columns = height + 2 * margin, width + 2 * margin
    to_input = cell_to_input(Size(rows * cell, columns * cell), Size(height, width), margin_cells=margin)

    assert (to_input.scale_x, to_input.scale_y) == pytest.approx((cell, cell))
    assert (to_input.offset_x, to_input.offset_y) == pytest.approx((margin * cell, margin * cell))


@pytest.mark.parametrize("margin", [0.0, 1.0, 1.5])
def test_a_receptive_fields_cell_is_centred_on_what_it_looks_at(margin: float) -> None:
    """Cell i of a ResNet looks at pixel 32 i, whose middle is half a pixel further; a margin shifts whole cells."""
    to_input = cell_to_input_by_receptive_field(stride=32, first_centre=0.5, margin_cells=margin)

    for cell in range(5):
        centre = 32 * (cell + margin) + 0.5
        assert to_input.scale_x * (cell + 0.5) + to_input.offset_x == pytest.approx(centre)
        assert to_input.scale_y * (cell + 0.5) + to_input.offset_y == pytest.approx(centre)


def test_both_alignments_agree_where_windows_neither_overlap_nor_pad() -> None:
    """Patches of 32 x 32 pixels, as in ConvNeXt: the cells tile the input by either rule."""
    tiled = cell_to_input(Size(224, 224), Size(7, 7), margin_cells=0)

    assert cell_to_input_by_receptive_field(stride=32, first_centre=16.0, margin_cells=0) == tiled


def test_affines_chain_in_the_order_they_are_applied() -> None:
    """First the cells to the input, then the input to the picture."""
    first, second = Affine(2.0, 1.0, 3.0, -1.0), Affine(10.0, 5.0, 20.0, 7.0)

    both = first.then(second)

    x, y = 4.0, 6.0
    inner_x, inner_y = 2.0 * x + 1.0, 3.0 * y - 1.0
    assert both.scale_x * x + both.offset_x == pytest.approx(10.0 * inner_x + 5.0)
    assert both.scale_y * y + both.offset_y == pytest.approx(20.0 * inner_y + 7.0)


def test_field_of_view_of_the_carcass_model_is_the_bottom_right() -> None:
    """373 x 373 nearest, bottom-right 224 of it, on 768 x 574."""
    to_picture = Affine(768 / 373, 149 * 768 / 373, 574 / 373, 149 * 574 / 373)

    assert field_of_view(Size(224, 224), to_picture) == pytest.approx(
        (149 * 768 / 373, 149 * 574 / 373, 768, 574)
    )
