"""Threads for pictures."""

from collections.abc import Iterator

import pytest

from app.serving.image_threads import ImageThreads


@pytest.fixture
def two() -> Iterator[ImageThreads]:
    threads = ImageThreads(2)
    yield threads
    threads.close()
