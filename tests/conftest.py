"""Fixtures that every room's tests share."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from support.parity import DOCUMENT, Measured, RecordParity, rewritten

import app  # noqa: F401 - before torch: it decides how torch's threads wait

CARCASSES = Path(__file__).resolve().parents[2] / "shared" / "data" / "carcass"


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Converted networks are kept for this session alone, by child processes and all of xdist's workers."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _float32() -> Iterator[None]:
    """What is compared with torch is float32; a CPU with bfloat16 would be served in it. Tests that mean `auto` say so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINESIDE_PRECISION", "float32")
        yield


@pytest.fixture(scope="session")
def carcass_photographs() -> list[Path]:
    """The fifteen real photographs; they are not part of the project, so a clone elsewhere lacks them."""
    paths = sorted(CARCASSES.glob("*/*.tif"))
    if not paths:
        pytest.skip(
            "the real carcass photographs (shared/data/carcass beside the clone) are not on this machine"
        )
    return paths


PARITY: pytest.StashKey[Measured] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make parity` gives it."""
    parser.addoption(
        "--write-parity", action="store_true", help="write what import tests measure into docs/checkpoints.md"
    )


def pytest_configure(config: pytest.Config) -> None:
    """A place for the figures of this run."""
    config.stash[PARITY] = Measured()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """The figures go into the document only where every test passed."""
    if exitstatus == 0 and session.config.getoption("--write-parity"):
        page = rewritten(DOCUMENT.read_text("utf-8"), session.config.stash[PARITY].largest)
        DOCUMENT.write_text(page, "utf-8")


@pytest.fixture
def record_parity(request: pytest.FixtureRequest) -> RecordParity:
    """(row of the table, difference) -> kept for docs/checkpoints.md."""
    return request.config.stash[PARITY].record


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
