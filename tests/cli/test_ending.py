"""How a command ends."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from app.cli.ending import ending_in_order
from app.errors import InvalidRequest


@pytest.fixture
def signals() -> Iterator[None]:
    """As they were."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("then", ["raise InvalidRequest('damaged')", "pass"])
def test_terminated_it_says_so_whatever_a_library_made_of_it(then: str) -> None:
    """safetensors makes a damaged file of an exit that comes while it reads: exit code 1, as if that were so."""
    # In a process of its own: the signal would be that of all the tests.
    program = f"""
import signal
from contextlib import suppress
from app.cli.ending import ending_in_order
from app.errors import InvalidRequest
with ending_in_order():
    with suppress(SystemExit):
        signal.raise_signal(signal.SIGTERM)
    {then}
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 128 + signal.SIGTERM


@pytest.mark.usefixtures("signals")
def test_error_that_we_know_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, ending_in_order():
        raise InvalidRequest("there is no such folder")

    assert ended.value.code == 1
    assert capsys.readouterr().err == "lineside: there is no such folder\n"
