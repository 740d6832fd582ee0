"""What happens to 8-bit pixels, in the manifest's order, and where things are afterwards.

Sizes are (height, width) in pixels. Coordinates are continuous: 0.0 is the outer edge of the first
pixel, so a pixel's centre is at index + 0.5.
"""

from dataclasses import dataclass
from typing import Literal

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
Decoding = Literal["exact", "scaled"]
"""exact: every pixel, as training saw it; scaled: a large JPEG at 1/2, 1/4 or 1/8, where the first resize still gets at
least twice the pixels it needs along each side."""
Anchor = Literal[
    "center", "top_left", "top", "top_right", "left", "right", "bottom_left", "bottom", "bottom_right"
]


@dataclass(frozen=True, slots=True)
class Size:
    """Height and width in pixels (or in cells, where it says so)."""

    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Resize:
    """To exactly this size; the aspect ratio is not kept."""

    size: Size
    interpolation: Interpolation


@dataclass(frozen=True, slots=True)
class ResizeShorter:
    """Shorter side to `shorter` pixels; the longer is truncated to whole pixels, as torchvision does."""

    shorter: int
    interpolation: Interpolation


@dataclass(frozen=True, slots=True)
class Crop:
    """A window of fixed size; where the image is smaller, it is padded with black as torchvision does."""

    size: Size
    anchor: Anchor


@dataclass(frozen=True, slots=True)
class CropBox:
    """A window given as fractions of the image at that step, 0 <= x0 < x1 <= 1."""

    x0: float
    y0: float
    x1: float
    y1: float


Step = Resize | ResizeShorter | Crop | CropBox


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a decoded picture becomes the (h, w, 3) uint8 image that a model takes."""

    steps: tuple[Step, ...]
    orientation: Literal["ignore", "apply"] = "ignore"
    alpha_background: tuple[int, int, int] = (255, 255, 255)
    """The colour under transparent pixels, RGB."""
    decode: Decoding = "exact"


@dataclass(frozen=True, slots=True)
class Affine:
    """Axis-aligned map from one pixel frame to another: x' = scale_x * x + offset_x, likewise y."""

    scale_x: float = 1.0
    offset_x: float = 0.0
    scale_y: float = 1.0
    offset_y: float = 0.0

    def then(self, after: "Affine") -> "Affine":
        """The map that applies self first and `after` second."""
        return Affine(
            scale_x=after.scale_x * self.scale_x,
            offset_x=after.scale_x * self.offset_x + after.offset_x,
            scale_y=after.scale_y * self.scale_y,
            offset_y=after.scale_y * self.offset_y + after.offset_y,
        )

    def reach(
        self, rows: int, columns: int, seen: tuple[float, float, float, float]
    ) -> tuple[float, float, float, float]:
        """Where a grid laid by this map ends, in what is drawn of it and in what is said of it.

        A cell ends half-way to where the next one would be, but not beyond what the network saw. Where that
        leaves less than half a cell to the border of what was seen, the outer cells reach to the border, since
        no other cell is nearer to it.

        Args:
            rows: of the grid.
            columns: of the grid.
            seen: x0, y0, x1, y1 in the frame that the map leads to.

        Returns:
            x0, y0, x1, y1 in cells; 0, 0, columns, rows to the last bit where the grid fills what was seen.
        """
        x0, x1 = (seen[0] - self.offset_x) / self.scale_x, (seen[2] - self.offset_x) / self.scale_x
        y0, y1 = (seen[1] - self.offset_y) / self.scale_y, (seen[3] - self.offset_y) / self.scale_y
        return (
            x0 if _reaches(-x0) else 0.0,
            y0 if _reaches(-y0) else 0.0,
            x1 if _reaches(x1 - columns) else float(columns),
            y1 if _reaches(y1 - rows) else float(rows),
        )


_ROUNDING_CELLS = 1e-9
"""What separates two ends by less is rounding: frames are products of a few scales and offsets."""


def _reaches(missing_cells: float) -> bool:
    """Whether an outer cell ends at the border instead, to which so much is missing (negative: too much)."""
    return missing_cells < 0.5 - _ROUNDING_CELLS and abs(missing_cells) > _ROUNDING_CELLS


@dataclass(frozen=True, slots=True)
class RegionOfInterest:
    """Where evidence is expected, as fractions of the whole picture, 0 <= x0 < x1 <= 1, likewise y."""

    x0: float
    y0: float
    x1: float
    y1: float
