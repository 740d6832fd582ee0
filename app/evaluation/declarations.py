"""The preprocessing that a model may plausibly have been trained with.

a bundle's manifest -> its own declaration, and what else scripts do: frames, kernels, anchors, normalisations

A frame is what happens to the picture's shape: the resize and the crop, whatever the interpolation. Pure values;
no picture and no network is touched.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, get_args

from app.domain import (
    Anchor,
    Crop,
    CropBox,
    Interpolation,
    Normalisation,
    Resize,
    ResizeShorter,
    Size,
    Step,
)

Steps = tuple[Step, ...]

KERNELS: Final[tuple[Interpolation, ...]] = ("nearest", "bilinear", "bicubic", "lanczos", "box")
ANCHORS: Final[tuple[Anchor, ...]] = get_args(Anchor)
CORNERS: Final[tuple[Anchor, ...]] = ("center", "top_left", "top_right", "bottom_left", "bottom_right")
CROP_FRACTIONS: Final = (0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.875, 0.9, 0.95)
"""Crop side as a share of the resized side: 0.875 is 224 of 256, 0.6 is 224 of 373; timm calls it crop_pct."""
COMMON_SIDES: Final = (232, 235, 248, 256, 288)
"""232: torchvision's newer weights; 288: their test size."""
WHOLE_SIDES: Final = (224, 256, 288, 299)
"""Inputs that are the whole picture, squeezed."""
MAX_INPUT_GROWTH: Final = 1.8
"""A larger input costs as much more time; scripts that squeeze to twice the declared size are rare."""

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CIFAR = ((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_CAFFE_BGR = (103.939, 116.779, 123.68)
_ONES = (1.0, 1.0, 1.0)

NORMALISATIONS: Final[Mapping[str, Normalisation]] = {
    "/255": Normalisation("RGB"),
    "/255, BGR": Normalisation("BGR"),
    "ImageNet": Normalisation("RGB", 1 / 255, *_IMAGENET),
    "ImageNet, BGR": Normalisation("BGR", 1 / 255, *_IMAGENET),
    "[-1, 1]": Normalisation("RGB", 1 / 255, *_HALF),
    "[-1, 1], BGR": Normalisation("BGR", 1 / 255, *_HALF),
    "caffe, BGR": Normalisation("BGR", 1.0, _CAFFE_BGR, _ONES),
    "caffe, RGB": Normalisation("RGB", 1.0, (123.68, 116.779, 103.939), _ONES),
    "0..255": Normalisation("RGB", 1.0),
    "0..255, BGR": Normalisation("BGR", 1.0),
    "CIFAR": Normalisation("RGB", 1 / 255, *_CIFAR),
    "CIFAR, BGR": Normalisation("BGR", 1 / 255, *_CIFAR),
}
"""ImageNet, BGR is cv2.imread without cvtColor: the mean stays in RGB order."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """One way to prepare pictures."""

    steps: Steps
    normalisation: Normalisation

    @property
    def input_size(self) -> Size:
        """What comes out."""
        match self.steps[-1]:
            case Resize(size=size) | Crop(size=size):
                return size
            case _:
                raise ValueError("the last step leaves the size open")

    def fields(self) -> dict[str, str]:
        """Field -> value in words; two declarations are alike in a field where the words are."""
        crops = [step for step in self.steps if isinstance(step, Crop | CropBox)]
        return {
            "values": _values_words(self.normalisation),
            "channels": self.normalisation.channels,
            "resize": ", ".join(_resize_words(step) for step in self.steps if step not in crops) or "none",
            "crop": ", ".join(_crop_words(step) for step in crops) or "none",
            "interpolation": self.kernel or "none",
        }

    def likeness(self, other: "Declaration") -> int:
        """Fields that both have alike."""
        mine, others = self.fields(), other.fields()
        return sum(mine[field] == others[field] for field in mine)

    @property
    def kernel(self) -> Interpolation | None:
        """Of the last resize."""
        kernels = [step.interpolation for step in self.steps if isinstance(step, Resize | ResizeShorter)]
        return kernels[-1] if kernels else None


def normalisations(declared: Normalisation) -> list[Normalisation]:
    """The presets, and the declared one in both channel orders."""
    other = replace(declared, channels="BGR" if declared.channels == "RGB" else "RGB")
    return list(dict.fromkeys([declared, other, *NORMALISATIONS.values()]))


def with_kernel(steps: Steps, kernel: Interpolation) -> Steps:
    """Every resize by this kernel."""
    return tuple(
        replace(step, interpolation=kernel) if isinstance(step, Resize | ResizeShorter) else step
        for step in steps
    )


def with_anchor(steps: Steps, anchor: Anchor) -> Steps:
    """Every crop at this anchor."""
    return tuple(replace(step, anchor=anchor) if isinstance(step, Crop) else step for step in steps)


def starts(declared: Steps, size: Size) -> list[Steps]:
    """A few frames far apart: wherever the truth lies, one of them shows enough of the same picture."""
    scaled = _scaled(size, 0.6)
    corners = [(Resize(scaled, "nearest"), Crop(size, anchor)) for anchor in CORNERS]
    shorter = math.floor(min(size.height, size.width) / 0.875)
    found: list[Steps] = [declared, (Resize(size, "bilinear"),)]
    found += [(ResizeShorter(shorter, "bilinear"), Crop(size, "center")), *corners]
    return list(dict.fromkeys(found))


def frames(declared: Steps, size: Size, kernel: Interpolation, *, least_side: int) -> list[Steps]:
    """Every plausible resize and crop, crops at the centre and the corners; `anchored` has the other anchors.

    Args:
        declared: the manifest's steps, whose own sizes are tried as well.
        size: the model's input.
        kernel: of every resize.
        least_side: the smallest input that the network takes.
    """
    found: list[Steps] = [with_kernel(declared, kernel), (Resize(size, kernel),)]
    found.append((CropBox(0.0625, 0.0625, 0.9375, 0.9375), Resize(size, kernel)))
    for target in _targets(declared, size):
        found += [(Resize(target, kernel), Crop(size, anchor)) for anchor in CORNERS]
        shorter = min(target.height, target.width)
        found += [(ResizeShorter(shorter, kernel), Crop(size, anchor)) for anchor in CORNERS]
    shorter = min(size.height, size.width)
    found += [(ResizeShorter(shorter, kernel), Crop(size, anchor)) for anchor in CORNERS]
    for side in WHOLE_SIDES:
        if side >= least_side and side * side <= MAX_INPUT_GROWTH * size.height * size.width:
            found.append((Resize(Size(side, side), kernel),))
    return list(dict.fromkeys(found))


def anchored(steps: Steps) -> list[Steps]:
    """The same resize with its crop at each of the nine anchors."""
    return list(dict.fromkeys(with_anchor(steps, anchor) for anchor in ANCHORS))


def _targets(declared: Steps, size: Size) -> list[Size]:
    """What the picture may be resized to before the crop."""
    shorter = min(size.height, size.width)
    found = [_scaled(size, fraction) for fraction in CROP_FRACTIONS]
    found += [_scaled(size, shorter / side) for side in COMMON_SIDES if shorter < side <= 2 * shorter]
    for step in declared:
        if isinstance(step, Resize):
            found.append(step.size)
        elif isinstance(step, ResizeShorter):
            found.append(_scaled(size, shorter / step.shorter))
    large = [
        target
        for target in found
        # At the same size a crop takes nothing away: the plain resize says the same.
        if target != size and target.height >= size.height and target.width >= size.width
    ]
    return sorted(set(large), key=lambda target: (target.height, target.width))


def _scaled(size: Size, fraction: float) -> Size:
    """The size of which `size` is this fraction, whole pixels as timm takes them (floor)."""
    return Size(_floor(size.height / fraction), _floor(size.width / fraction))


def _floor(value: float) -> int:
    """224 / (224 / 256) is 255.99999999999997 on some machines."""
    return math.floor(value + 1e-6)


# --- in words ----------------------------------------------------------------------------------


def _values_words(normalisation: Normalisation) -> str:
    """A preset's name, whichever the channel order."""
    for channels in ("RGB", "BGR"):
        for name, preset in NORMALISATIONS.items():
            if replace(normalisation, channels=channels) == preset:
                return name.partition(",")[0] if not name.startswith("[") else "[-1, 1]"
    mean, std = (
        " ".join(dict.fromkeys(f"{value:g}" for value in values))
        for values in (normalisation.mean, normalisation.std)
    )
    whole = round(1 / normalisation.scale)
    scale = f"/{whole}" if whole > 1 else f"times {normalisation.scale:g}"
    return f"{scale}, mean {mean}, std {std}"


def _resize_words(step: Step) -> str:
    match step:
        case Resize(size=size):
            return f"{size.height} x {size.width}"
        case ResizeShorter(shorter=shorter):
            return f"shorter {shorter}"
        case _:  # pragma: no cover - only resizes come here
            raise AssertionError


def _crop_words(step: Step) -> str:
    match step:
        case Crop(size=size, anchor=anchor):
            return f"{anchor} {size.height} x {size.width}"
        case CropBox():
            return f"box {step.x0:g} {step.y0:g} {step.x1:g} {step.y1:g}"
        case _:  # pragma: no cover - only crops come here
            raise AssertionError


def shared_fields(declarations: Sequence[Declaration]) -> dict[str, list[str]]:
    """Field -> the values that these declarations have, in their order."""
    found: dict[str, list[str]] = {}
    for declaration in declarations:
        for field, value in declaration.fields().items():
            values = found.setdefault(field, [])
            if value not in values:
                values.append(value)
    return found
