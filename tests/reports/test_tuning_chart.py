"""The plot of a tuning."""

from xml.etree import ElementTree as ET

import pytest
from support.tunings import measured, row

from app.reports.tuning_chart import tuning_chart
from app.tuning.configurations import Configuration

SVG = "{http://www.w3.org/2000/svg}"
LEFT, TOP, HIGH = 64, 78, 260
"""Of the first panel, in pixels."""


@pytest.mark.parametrize("scale", [1e-4, 0.01, 1.0, 7.0])
def test_every_figure_is_a_point_inside_its_panel(scale: float) -> None:
    """Two panels, a line for each configuration, whatever the times are."""
    times = {1: scale, 2: 1.5 * scale, 4: 2.5 * scale, 8: 4 * scale}
    rows = [
        row(threads=1, seconds=times),
        row("torch", seconds={size: 3 * value for size, value in times.items()}),
        row(precision="int8", seconds=times, refusal="they do not hold"),
    ]

    root = ET.fromstring(tuning_chart(measured(*rows), rows[0].configuration))  # noqa: S314 - ours

    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    circles = root.findall(f".//{SVG}circle")
    assert len(root.findall(f".//{SVG}polyline")) == 2 * len(rows)
    assert len(circles) == 2 * len(rows) * len(times)
    for circle in circles:
        assert LEFT <= float(circle.get("cx", -1)) <= width
        assert TOP <= float(circle.get("cy", -1)) <= TOP + HIGH
    words = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert "openvino float32, 1 thread (recommended)" in words
    assert "openvino int8, 2 threads (golden images fail)" in words
    assert height > TOP + HIGH


def test_one_configuration_at_one_size_is_drawn() -> None:
    """No axis divides by nothing."""
    only = row(seconds={1: 0.01})

    drawn = tuning_chart(measured(only), Configuration("openvino", "float32", 2))
    root = ET.fromstring(drawn)  # noqa: S314 - ours

    assert len(root.findall(f".//{SVG}circle")) == 2
