"""Fixtures that every room's tests share."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

import app  # noqa: F401 - before torch: it decides how torch's threads wait

CARCASSES = Path(__file__).resolve().parents[2] / "shared" / "data" / "carcass"


@pytest.fixture(scope="session")
def carcass_photographs() -> list[Path]:
    """The fifteen real photographs; they are not part of the project, so a clone elsewhere lacks them."""
    paths = sorted(CARCASSES.glob("*/*.tif"))
    if not paths:
        pytest.skip(
            "the real carcass photographs (shared/data/carcass beside the clone) are not on this machine"
        )
    return paths


MARKED = {
    "browser": "make test-browser",
    "docker": "make test-docker",
    "gpu": "make test-gpu, on a machine with a CUDA device",
    "fuzz": "make test-fuzz",
    "slow": "make test-slow",
}
_not_run: Counter[str] = Counter()


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Count what the markers keep out of this run."""
    _not_run.update(name for item in items for name in MARKED if item.get_closest_marker(name))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not run, and what runs it."""
    for name, count in sorted(_not_run.items()):
        terminalreporter.write_line(f"not run: {count} tests marked {name} ({MARKED[name]})")
