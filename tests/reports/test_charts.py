"""Figures of a report: legible at every share."""

import re

import numpy as np
import pytest

from app.reports.charts import confusion
from app.reports.evaluation_charts import shade

INK = (0x1D, 0x20, 0x25)
"""The lighter of the two style sheets' inks."""
LEAST = 4.5
"""Contrast that WCAG 2.2 asks for (1.4.3)."""


def luminance(colour: tuple[float, ...]) -> float:
    red, green, blue = (
        value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4
        for value in (each / 255 for each in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(style: str) -> float:
    """Of the ink that the style leaves or names, on its background over white paper."""
    [found] = re.findall(r"rgba\((.*?)\)", style)
    *colour, alpha = map(float, found.split(","))
    ink = (255, 255, 255) if "#fff" in style else INK
    light, dark = luminance(tuple(alpha * each + (1 - alpha) * 255 for each in colour)), luminance(ink)
    return (max(light, dark) + 0.05) / (min(light, dark) + 0.05)


@pytest.mark.parametrize("is_right", [True, False])
def test_a_number_can_be_read_on_its_cell_whatever_its_share(is_right: bool) -> None:
    assert min(contrast(shade(share, is_right=is_right)) for share in np.linspace(0, 1, 101)) >= LEAST


def test_so_can_those_of_the_other_matrix() -> None:
    counts = np.array([[9, 1], [5, 5]])

    made = confusion(counts, ("a", "b"), corner="", caption="")

    styles = [each.get("style") for each in made.iter("span")]
    assert len(styles) == 4
    assert min(contrast(style or "") for style in styles) >= LEAST
