"""The quantisation in a manifest's text: the comments stay, and what it parses to is exactly what was asked."""

import pytest
from manifests import CARCASS, TORCHVISION

from app.bundles.manifest import GoldenTable, QuantizationTable, parse_manifest
from app.bundles.manifest_edit import with_quantization
from app.bundles.manifest_text import write_manifest

TABLE = QuantizationTable(kind="int8", sha256="a" * 64, images=60, agreement=0.996, drift=0.0461)
OTHER = QuantizationTable(kind="int8", sha256="b" * 64, images=10, agreement=1.0, drift=0.5)
DOTTED = TORCHVISION.replace("[preprocess]", "golden.tolerance = 0.01\n[preprocess]", 1)
MISLEADING = TORCHVISION.replace("classes", 'description = """\n[golden]\n[quantization]\n"""\nclasses', 1)


@pytest.mark.parametrize("text", [TORCHVISION, CARCASS, DOTTED, MISLEADING])
@pytest.mark.parametrize(("tolerance", "images"), [(0.01, None), (0.02, 3), (0.02, None), (0.1, 9)])
def test_it_parses_to_what_was_asked_and_to_nothing_else(
    text: str, tolerance: float, images: int | None
) -> None:
    before = parse_manifest(text.encode())

    once = with_quantization(text, OTHER, 0.3, 4)
    after = parse_manifest(with_quantization(once, TABLE, tolerance, images).encode())

    update = {"golden": GoldenTable(tolerance=tolerance, images=images), "quantization": TABLE}
    assert after == before.model_copy(update=update)


def test_comments_stay() -> None:
    text = CARCASS.replace(
        "[golden]", "# measured in May\n[golden]  # strict\n# because the gate is strict", 1
    )

    edited = with_quantization(with_quantization(text, OTHER, 0.01, 4), TABLE, 0.1, 9)

    assert "# in the order of the head's outputs" in edited
    assert "# measured in May" in edited
    assert "# because the gate is strict" in edited
    assert "tolerance = 0.1  # of any class's probability; 0.01 before it was quantised" in edited
    assert edited.count("tolerance =") == 1
    assert [line for line in edited.splitlines() if line.startswith("images")] == [
        "images = 9  # so many lie in golden/, or it does not serve",
        "images = 60  # pictures that it was calibrated and compared on",
    ]


def test_a_quantised_manifest_is_written_for_people_as_well() -> None:
    manifest = parse_manifest(CARCASS.encode()).model_copy(update={"quantization": TABLE})

    assert parse_manifest(write_manifest(manifest).encode()) == manifest
