"""Recipes of the projects that this one grew from, as values of the configuration's keys.

Knows nothing: it is read by configuration.py only.
"""

from collections.abc import Mapping
from typing import Final

AUGMENTATIONS: Final[Mapping[str, Mapping[str, object]]] = {
    "none": {},
    "carcass": {
        "rotation_degrees": 0.2,
        "shift": 0.05,
        "shear_degrees": 0.05,
        "zoom": 0.05,
        "flip_horizontal": True,
    },
    "cats-and-dogs": {"rotation_degrees": 40.0, "shear_degrees": 0.2, "zoom": 0.2, "flip_horizontal": True},
    "posture": {"rotation_degrees": 10.0, "shift": 0.1, "zoom": 0.1, "flip_horizontal": True},
    "digits": {"rotation_degrees": 10.0, "shift": 0.08, "shear_degrees": 5.0, "zoom": 0.1},
}
"""carcass and cats-and-dogs are the numbers of the Keras generators; posture's source names none, so these are
ours; a digit has no mirror image."""

IMAGENET_EVALUATION: Final[Mapping[str, object]] = {
    "steps": [
        {"resize_shorter": 256, "interpolation": "bilinear"},
        {"crop": [224, 224], "anchor": "center"},
    ],
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}
"""What torchvision's pretrained weights were evaluated with."""
