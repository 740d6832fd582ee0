"""Turns an engine's evidence into one class's map and says where it lies on the picture.

evidence (K, h', w') + logits (K,) -> EvidenceMap; cell grid -> network input -> original picture

Knows no networks and no pictures. Class activation map: Zhou et al. 2016, eq. 2; that Grad-CAM, HiResCAM
and XGrad-CAM equal it on average pool + linear, up to the constant 1 / cells: Selvaraju et al. 2017, sec. 3.1.
"""

import numpy as np
from numpy.typing import NDArray

from app.domain import Affine, EvidenceMap, Size

EQUIVALENT_METHODS = ("gradcam", "hirescam", "xgradcam")
"""What `cam` also is, up to a constant factor, where the evidence is exact."""


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities over the last axis, computed in double precision."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    exponents = np.exp(shifted)
    return np.asarray(exponents / exponents.sum(axis=-1, keepdims=True))


def class_activation_map(
    evidence: NDArray[np.float32], logits: NDArray[np.float32], class_index: int
) -> EvidenceMap:
    """Where the network found evidence for one class.

    Args:
        evidence: (K, h', w') in logit units.
        logits: (K,).
        class_index: 0..K-1.
    """
    values = evidence[class_index]
    positive = values > 0
    return EvidenceMap(
        values=values,
        bias=float(logits[class_index]) - float(values.mean(dtype=np.float64)),
        positive_fraction=float(positive.mean()),
        status="ok" if positive.any() else "no_positive_evidence",
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
