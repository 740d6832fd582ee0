"""A network that normalises its pixels by itself, told by the mean and std that it keeps.

named tensors beside trunk and head -> Normalisation, which `--preprocess` must say too, and the other tensors
"""

from collections.abc import Iterator, Mapping
from math import isclose
from typing import Final

from torch import Tensor

from app.checkpoints.found import Note
from app.domain import Normalisation

DIGITS: Final = 6
"""A float32 has seven: 0.485 comes back from it as 0.4850000143."""


def own_normalisation(
    tensors: Mapping[str, Tensor], notes: list[Note]
) -> tuple[Normalisation | None, Mapping[str, Tensor]]:
    """`mean` and `std` of three channels each, as modules that normalise keep them; and what else there is."""
    for name, mean in tensors.items():
        std = tensors.get(f"{name.removesuffix('mean')}std") if name.endswith("mean") else None
        if std is None or mean.numel() != 3 or std.numel() != 3:
            continue
        # As typed, but for the seventh digit.
        red, green, blue, *stds = (
            float(f"{v:.{DIGITS}g}") for each in (mean, std) for v in each.flatten().tolist()
        )
        # A std of 255 alone is the division that otherwise makes 0..1 of pixels.
        scale = 1.0 if max(red, green, blue, *stds) > 1 else 1 / 255
        normalisation = Normalisation("RGB", scale, (red, green, blue), (stds[0], stds[1], stds[2]))
        notes.append(
            Note(
                "settled", f"`{name}` and its std: the network normalises by itself, as --preprocess must say"
            )
        )
        std_name = f"{name.removesuffix('mean')}std"
        return normalisation, {n: t for n, t in tensors.items() if n not in {name, std_name}}
    return None, tensors


def same_arithmetic(one: Normalisation, other: Normalisation) -> bool:
    """Whether both do the same to a picture, however they say it: 0.5 of 1/255 is 127.5 of 1."""
    pairs = zip(_lines(one), _lines(other), strict=True)
    return all(isclose(own, their, rel_tol=20 * 10**-DIGITS, abs_tol=10**-5) for own, their in pairs)


def _lines(normalisation: Normalisation) -> Iterator[float]:
    """By channel, red first: what white is more than black, and what black is."""
    channels = list(zip(normalisation.mean, normalisation.std, strict=True))
    for mean, std in channels if normalisation.channels == "RGB" else reversed(channels):
        yield 255 * normalisation.scale / std
        yield mean / std
