"""One small server for the tests that only ask it things."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.bundles import write_random_bundle
from support.pictures import picture_file
from support.server import test_settings, threaded_server


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small model with two golden images, named as a plant would."""
    root = tmp_path_factory.mktemp("models")
    write_random_bundle(
        root,
        name="line",
        golden={"a.jpg": picture_file(1), "b.png": picture_file(2, "PNG")},
        title="A line",
        notice="random weights",
        display={"ko": {"castrate": "거세", "boar": "수", "female": "암"}},
    )
    return root


@pytest.fixture(scope="session")
def server(repository: Path) -> Iterator[str]:
    """Its address."""
    with threaded_server(test_settings(repository, max_body_mib=1.0, max_image_megapixels=1.0)) as url:
        yield url


@pytest.fixture
def client(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server, timeout=60) as opened:
        yield opened
