"""What a network can be asked of a picture beyond its prediction."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Method = Literal["cam", "gradcam", "hirescam", "xgradcam", "gradcam++", "layercam", "eigencam"]
"""How a map is made; docs/explanations.md says what each means."""
Score = Literal["logit", "probability"]
"""What of a class a map explains."""
View = Literal["input", "full"]
"""input: what the manifest's steps leave of a picture; full: all of it, at the same scale."""
Align = Literal["receptive_field", "half_pixel"]
"""receptive_field: every cell at the centre of what it looks at; half_pixel: the grid laid over the whole input, as
CAM libraries draw it. docs/adr/0005 has what was measured."""
Check = Literal["none", "cover", "full"]
"""cover: is the first region's evidence needed? full: deletion and insertion curves besides."""


@dataclass(frozen=True, slots=True)
class Target:
    """The one number, of those that the network says of a picture, which is explained."""

    class_index: int | None = None
    """None: the predicted class."""
    score: Score = "logit"
    against: int | None = None
    """Another class: its logit is taken off, and what is explained is the margin between the two."""
    temperature: float = 1.0
    """Of the probability: softmax(logits / temperature)."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What one image is asked beyond logits and evidence."""

    target: Target = field(default_factory=Target)
    method: Method = "layercam"
    layers: tuple[str, ...] = ()
    """A map of each is wanted."""
    channels_of: str | None = None
    """The channels of this layer that contribute most are wanted."""
    channel_count: int = 16


@dataclass(frozen=True, slots=True)
class Channels:
    """A layer's feature maps that speak most for the target, the strongest first."""

    layer: str
    indices: NDArray[np.int64]
    """(k,)"""
    contributions: NDArray[np.float32]
    """(k,): gradient times activation, summed over the cells; in the target's units."""
    values: NDArray[np.float32]
    """(k, rows, cols): the activations."""
    total: float
    """Contributions of all the layer's channels."""
    count: int
    """Of all the layer's channels."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What a probe found."""

    maps: tuple[NDArray[np.float32], ...]
    """(rows, cols) for each of its layers."""
    channels: Channels | None = None
