"""What a command's BUNDLE means."""

from pathlib import Path

import pytest

from app.cli.bundle_argument import bundle_folder
from app.errors import UnknownModel


def test_version_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    """Not that the model is unknown, with its own name as the nearest."""
    for version in (2, 10):
        folder = tmp_path / "line" / str(version)
        folder.mkdir(parents=True)
        (folder / "model.toml").touch()

    assert bundle_folder("line", tmp_path) == tmp_path / "line" / "10"
    for given in ("line/9", str(tmp_path / "line" / "9")):
        with pytest.raises(UnknownModel, match=r"line has no version 9; it has 2, 10$"):
            bundle_folder(given, tmp_path)
    with pytest.raises(UnknownModel, match="did you mean `line`"):
        bundle_folder("lime/9", tmp_path)
