"""Fixtures of this room's tests."""

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
from support.wired import bundle_in

from app.exporting.export import export_bundle

FormOf = Callable[[int], Path]


@pytest.fixture(scope="session")
def form_of(tmp_path_factory: pytest.TempPathFactory) -> FormOf:
    """Seed -> a folder with the float32 form of `bundle_in`'s network, to be copied; made once, which takes seconds."""

    @functools.cache
    def form(seed: int) -> Path:
        room = tmp_path_factory.mktemp("form")
        export_bundle(bundle_in(room, seed), made := _made(room / "openvino"))
        return made

    return form


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
