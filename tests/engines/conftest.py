"""One thread for every engine under test."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Networks this small gain nothing from more; beside other work the suite took five times as long."""
    torch.set_num_threads(1)
