"""A network that normalises its pixels by itself, told by the mean and std that it keeps.

named tensors beside trunk and head -> Normalisation, which `--preprocess` must say too, and the other tensors
"""

from collections.abc import Mapping

from torch import Tensor

from app.checkpoints.found import Note
from app.domain import Normalisation


def own_normalisation(
    tensors: Mapping[str, Tensor], notes: list[Note]
) -> tuple[Normalisation | None, Mapping[str, Tensor]]:
    """`mean` and `std` of three channels each, as modules that normalise keep them; and what else there is."""
    for name, mean in tensors.items():
        std = tensors.get(f"{name.removesuffix('mean')}std") if name.endswith("mean") else None
        if std is None or mean.numel() != 3 or std.numel() != 3:
            continue
        # As typed: 0.485 comes back from float32 as 0.4850000143.
        red, green, blue, *stds = (float(f"{v:.6g}") for each in (mean, std) for v in each.flatten().tolist())
        scale = 1.0 if max(red, green, blue) > 1 else 1 / 255
        normalisation = Normalisation("RGB", scale, (red, green, blue), (stds[0], stds[1], stds[2]))
        notes.append(
            Note(
                "settled", f"`{name}` and its std: the network normalises by itself, as --preprocess must say"
            )
        )
        std_name = f"{name.removesuffix('mean')}std"
        return normalisation, {n: t for n, t in tensors.items() if n not in {name, std_name}}
    return None, tensors
