"""A manifest's text with its quantisation set, the comments that people wrote kept.

text + QuantizationTable + tolerance + golden images -> text that parses to exactly that
"""

import re
from collections.abc import Sequence

from app.bundles.manifest import GoldenTable, Manifest, QuantizationTable, parse_manifest
from app.bundles.manifest_text import images_lines, quantization_lines, tolerance_line, write_manifest
from app.errors import ManifestInvalid


def with_quantization(text: str, table: QuantizationTable, tolerance: float, images: int | None) -> str:
    """The text of a model.toml with [quantization] and the golden images' tolerance and number set.

    Comments go only where the tables are written in a way that lines do not show, such as `golden.tolerance = 0.01`; the
    whole is then written anew.
    """
    manifest = parse_manifest(text.encode())
    golden = GoldenTable(tolerance=tolerance, images=images)
    wanted = manifest.model_copy(update={"golden": golden, "quantization": table})
    edited = _edited(text.splitlines(), manifest, wanted, table)
    try:
        if parse_manifest(edited.encode()) == wanted:
            return edited
    except ManifestInvalid:
        pass
    return write_manifest(wanted)


def _edited(lines: list[str], manifest: Manifest, wanted: Manifest, table: QuantizationTable) -> str:
    start, end = _table(lines, "quantization")
    del lines[start:end]
    old, new = manifest.golden, wanted.golden
    if old.tolerance != new.tolerance:
        line = f"{tolerance_line(new.tolerance)}; {old.tolerance:g} before it was quantised"
        _set_golden(lines, "tolerance", [line])
    if old.images != new.images:
        _set_golden(lines, "images", images_lines(new.images))
    while lines and not lines[-1].strip():
        lines.pop()
    return "\n".join([*lines, "", *quantization_lines(table)]) + "\n"


def _set_golden(lines: list[str], key: str, wanted: list[str]) -> None:
    """Its line in [golden], which is put in front of the others."""
    start, end = _table(lines, "golden")
    if start == end:
        lines += ["", "[golden]", *wanted]
        return
    kept = [each for each in lines[start + 1 : end] if not re.match(rf"\s*{key}\s*=", each)]
    lines[start + 1 : end] = [*wanted, *kept]


def _table(lines: Sequence[str], name: str) -> tuple[int, int]:
    """From its header to the next; empty where it has no header of its own."""
    header = re.compile(rf"\s*\[\s*{name}\s*\]")
    start = next((number for number, line in enumerate(lines) if header.match(line)), len(lines))
    end = next(
        (number for number in range(start + 1, len(lines)) if lines[number].lstrip().startswith("[")),
        len(lines),
    )
    return start, max(start, end)
