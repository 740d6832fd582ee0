"""Turns an engine's evidence into maps and says where they lie on the picture.

evidence (K, h', w') + logits (K,) -> EvidenceMap; cell grid -> network input -> original picture

Every target is a weighted sum of logits, to first order, so its map is the same sum of the classes' maps: a
contrast, a probability and all classes at once cost nothing and need no gradient. Knows no networks and no
pictures. Class activation map: Zhou et al. 2016, eq. 2; that Grad-CAM, HiResCAM and XGrad-CAM equal it on average
pool + linear, up to the constant 1 / cells: Selvaraju et al. 2017, sec. 3.1.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.domain import Affine, EvidenceMap, Size, Target


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities over the last axis, computed in double precision."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    exponents = np.exp(shifted)
    return np.asarray(exponents / exponents.sum(axis=-1, keepdims=True))


def target_weights(logits: NDArray[np.float32], target: Target) -> NDArray[np.float64]:
    """What each logit weighs in the target's gradient, (K,) -> (K,).

    One for a logit; one and minus one for a margin; `p_c (e_c - p) / temperature` for a probability.
    """
    index = int(logits.argmax()) if target.class_index is None else target.class_index
    weights = np.zeros(logits.shape[0])
    weights[index] = 1.0
    if target.score == "probability":
        probabilities = softmax(logits / target.temperature)
        weights = probabilities[index] * (weights - probabilities) / target.temperature
    if target.against is not None:
        weights[target.against] -= 1.0
    return weights


def evidence_map(evidence: NDArray[np.float32], logits: NDArray[np.float32], target: Target) -> EvidenceMap:
    """Where the network found evidence for the target.

    Args:
        evidence: (K, h', w') in logit units.
        logits: (K,).
        target: its class is given.
    """
    assert target.class_index is not None  # noqa: S101 - the caller has seen the prediction
    if target.score == "logit" and target.against is None:
        values = evidence[target.class_index]
        return measured(values, explained=float(logits[target.class_index]))
    weights = target_weights(logits, target)
    used = np.flatnonzero(weights)
    values = np.tensordot(weights[used], evidence[used].astype(np.float64), axes=1).astype(np.float32)
    if target.against is None:
        return measured(values, unit="probability")
    margin = float(logits[target.class_index]) - float(logits[target.against])
    return measured(values, explained=margin, is_margin=True)


def measured(
    values: NDArray[np.float32],
    *,
    explained: float | None = None,
    is_margin: bool = False,
    unit: Literal["logit", "probability", "activation"] = "logit",
) -> EvidenceMap:
    """A map with what can be said of its numbers.

    Args:
        values: (rows, cols).
        explained: the logit or margin that a bias and the map's mean add up to; None: there is no such rule.
        is_margin: whether that is a margin.
        unit: of the values.
    """
    positive = values > 0
    rule: Literal["logit = bias + mean(values)", "margin = bias + mean(values)"] | None = None
    if explained is not None:
        rule = "margin = bias + mean(values)" if is_margin else "logit = bias + mean(values)"
    return EvidenceMap(
        values=values,
        bias=None if explained is None else explained - float(values.mean(dtype=np.float64)),
        positive_fraction=float(positive.mean()),
        status="ok" if positive.any() else "no_positive_evidence",
        unit=unit,
        rule=rule,
    )


def cell_to_input(input_size: Size, grid: Size, *, margin_cells: float) -> Affine:
    """From grid coordinates to the network's input pixels.

    A head whose convolution has no padding gives a grid that is `margin_cells` smaller on each side than the
    trunk's; it lies inside and is not stretched over the whole input.
    """
    scale_x = input_size.width / (grid.width + 2 * margin_cells)
    scale_y = input_size.height / (grid.height + 2 * margin_cells)
    return Affine(scale_x, margin_cells * scale_x, scale_y, margin_cells * scale_y)


def cell_to_input_by_receptive_field(*, stride: float, first_centre: float, margin_cells: float) -> Affine:
    """From grid coordinates to the network's input pixels: every cell at the centre of what it looks at.

    Args:
        stride: input pixels from one cell of the trunk to the next.
        first_centre: input pixels from the input's edge to the centre of the trunk's first cell.
        margin_cells: cells of the trunk's grid by which this one lies inside it, on each side.

    `cell_to_input` lays the grid over the whole input instead, which moves a ResNet's cells by up to half a cell;
    docs/adr/0005 has what was measured. For a head that resamples the grid there are no such cells: use that one.
    Source: Araujo, Norris, Sim 2019, Computing Receptive Fields of Convolutional Neural Networks, eq. 4.
    """
    edge = first_centre + (margin_cells - 0.5) * stride
    return Affine(stride, edge, stride, edge)


def field_of_view(input_size: Size, input_to_picture: Affine) -> tuple[float, float, float, float]:
    """The rectangle of the picture that the network saw: x0, y0, x1, y1 in the picture's pixels."""
    a = input_to_picture
    return (
        a.offset_x,
        a.offset_y,
        a.offset_x + a.scale_x * input_size.width,
        a.offset_y + a.scale_y * input_size.height,
    )
