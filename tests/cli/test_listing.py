"""`lineside models`: names are shown as they are, and why there is nothing is said to scripts too."""

import json
from pathlib import Path

import pytest
from support.bundles import write_random_bundle

from app.cli.listing import print_models
from app.settings import Settings


def test_class_that_looks_like_markup_is_shown_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`[entire]` vanished from the table, and `[/x]` ended it with a traceback."""
    monkeypatch.setenv("COLUMNS", "200")
    write_random_bundle(tmp_path, classes=("boar [entire]", "female[/x]"))

    assert print_models(Settings(model_repository=tmp_path), as_json=False)

    assert "boar [entire], female[/x]" in capsys.readouterr().out


def test_reason_of_a_refusal_is_a_line_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a column of the table it was twenty letters wide."""
    (tmp_path / "bad" / "1").mkdir(parents=True)
    write_random_bundle(tmp_path, name="good")

    assert not print_models(Settings(model_repository=tmp_path), as_json=False)

    assert "refused bad/1: the folder has no model.toml" in capsys.readouterr().out.splitlines()


def test_repository_that_is_not_there_is_told_to_scripts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty list alone reads like a repository without models."""
    assert not print_models(Settings(model_repository=tmp_path / "none"), as_json=True)

    told = json.loads(capsys.readouterr().out)
    assert told["models"] == []
    assert "does not exist" in told["fault"]
