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
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("then", ["raise InvalidRequest('damaged')", "raise ImportError('half')", "pass"])
def test_ended_it_says_so_whatever_a_library_made_of_it(number: signal.Signals, then: str) -> None:
    """safetensors makes a damaged file of an exit that comes while it reads: exit code 1, as if that were so. OpenVINO
    makes an import that failed of Ctrl-C amid it, with a traceback.
    """
    # In a process of its own: the signal would be that of all the tests.
    program = f"""
import signal
from contextlib import suppress
from app.cli.ending import ending_in_order
from app.errors import InvalidRequest
with ending_in_order():
    with suppress(SystemExit, KeyboardInterrupt):
        signal.raise_signal({number})
    {then}
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)

    assert ended.returncode == 128 + number
    assert "Traceback" not in ended.stderr


@pytest.mark.usefixtures("signals")
def test_error_that_we_know_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, ending_in_order():
        raise InvalidRequest("there is no such folder")

    assert ended.value.code == 1
    assert capsys.readouterr().err == "lineside: there is no such folder\n"
