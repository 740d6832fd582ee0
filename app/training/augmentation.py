"""Training pictures, varied: rotation, shift, shear, zoom and flips in one resampling.

images (B, h, w, 3) uint8, their draws (B, 8) -> images (B, h, w, 3) uint8

The numbers of a picture come from the seed, the epoch and its index alone, so neither the order of a batch,
nor its size, nor the number of threads changes them. The result is 8-bit again: training sees what a
picture on disk could look like, through the same normalisation.

The matrix is that of Keras' ImageDataGenerator, rotation . shift . shear . zoom about the middle
(keras_preprocessing/image/affine_transformations.py), with its bilinear resampling and repeated border.
"""

import math
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from numpy.typing import NDArray
from torch import Tensor

from app.training.configuration import Augmentation

DRAWS: Final = 8
"""Numbers for each picture: rotation, shift y, shift x, shear, zoom y, zoom x, flip horizontal, flip vertical."""


def draws_of(
    seed: int, epoch: int, count: int, *, groups: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """(count, 8) in 0..1, for all pictures of one epoch; with groups (count,) the same for all of one group."""
    draws = np.random.default_rng([seed, epoch, 1]).random((count, DRAWS))
    return draws if groups is None else draws[groups]  # there are no more groups than pictures


def varied(images: Tensor, draws: NDArray[np.float64], how: Augmentation) -> Tensor:
    """(B, h, w, 3) uint8 on any device, (B, 8) -> (B, h, w, 3) uint8."""
    if how.rotation_degrees or how.shift or how.shear_degrees or how.zoom:
        images = _resampled(
            images, backward_matrices(draws, how, height=images.shape[1], width=images.shape[2])
        )
    for axis, is_wanted, column in ((2, how.flip_horizontal, 6), (1, how.flip_vertical, 7)):
        if is_wanted:
            is_flipped = torch.from_numpy(draws[:, column] < 0.5).to(images.device)
            images = torch.where(is_flipped[:, None, None, None], images.flip(axis), images)
    return images


def backward_matrices(
    draws: NDArray[np.float64], how: Augmentation, *, height: int, width: int
) -> NDArray[np.float64]:
    """From a varied picture's pixels to the original's: (B, 8) -> (B, 2, 3), on (x, y, 1) about the middle."""
    spread = 2.0 * draws[:, :6] - 1.0  # -1..1
    matrices = np.empty((len(draws), 2, 3))
    for number, (rotation, down, right, shear, zoom_y, zoom_x) in enumerate(spread):
        turn = math.radians(how.rotation_degrees * rotation)
        slant = math.radians(how.shear_degrees * shear)
        # On (x, y); Keras writes rows and columns the other way round.
        rotate = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
        lean = np.array([[math.cos(slant), 0.0], [-math.sin(slant), 1.0]])
        scale = np.diag([1.0 + how.zoom * zoom_x, 1.0 + how.zoom * zoom_y])
        matrices[number, :, :2] = rotate @ lean @ scale
        matrices[number, :, 2] = rotate @ (how.shift * right * width, how.shift * down * height)
    return matrices


def _resampled(images: Tensor, matrices: NDArray[np.float64]) -> Tensor:
    """Bilinear, the border repeated; (B, h, w, 3), (B, 2, 3) in pixels -> (B, h, w, 3)."""
    half = np.array([images.shape[2] / 2.0, images.shape[1] / 2.0])
    # affine_grid counts -1..1 from edge to edge, on both axes.
    theta = matrices / half[None, :, None]
    theta[:, :, :2] *= half[None, None, :]
    planes = images.permute(0, 3, 1, 2).to(torch.float32)  # (B, 3, h, w)
    grid = F.affine_grid(
        torch.from_numpy(theta).to(images.device, torch.float32), list(planes.shape), align_corners=False
    )
    moved = F.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return moved.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
