"""`[calibration]` in a manifest."""

import pytest

from app.bundles.manifest import parse_manifest
from app.bundles.manifest_text import write_manifest
from app.errors import ManifestInvalid

BASE = b"""
architecture = "resnet18"
classes = ["a", "b"]
[preprocess]
steps = [{ resize = [32, 32], interpolation = "bilinear" }]
"""


def test_the_temperature_is_one_where_nothing_is_said() -> None:
    manifest = parse_manifest(BASE)

    assert manifest.calibration.temperature == 1.0
    assert "calibration" not in write_manifest(manifest)


def test_a_temperature_survives_being_written() -> None:
    manifest = parse_manifest(BASE + b"[calibration]\ntemperature = 1.3\n")

    assert parse_manifest(write_manifest(manifest).encode()) == manifest
    assert manifest.calibration.temperature == 1.3


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("temperature = 0.0", "calibration.temperature is 0.0"),
        ("temprature = 1.3", "did you mean `temperature`"),
    ],
)
def test_what_is_no_temperature_is_refused(line: str, words: str) -> None:
    with pytest.raises(ManifestInvalid) as caught:
        parse_manifest(BASE + b"[calibration]\n" + line.encode())

    assert words in caught.value.message
