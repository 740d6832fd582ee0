"""Fixtures that every room's tests share."""

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
