"""How a command ends."""

import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest

from app.cli.ending import ending_in_order
from app.errors import InvalidRequest


@pytest.fixture
def signals() -> Iterator[None]:
    """As they were."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("error", [InvalidRequest("damaged"), None])
def test_terminated_it_says_so_whatever_a_library_made_of_it(error: Exception | None) -> None:
    """safetensors makes a damaged file of an exit that comes while it reads: exit code 1, as if that were so."""

    def read() -> None:
        with suppress(SystemExit):
            signal.raise_signal(signal.SIGTERM)
        if error is not None:
            raise error

    with pytest.raises(SystemExit) as ended, ending_in_order():
        read()

    assert ended.value.code == 128 + signal.SIGTERM


@pytest.mark.usefixtures("signals")
def test_error_that_we_know_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, ending_in_order():
        raise InvalidRequest("there is no such folder")

    assert ended.value.code == 1
    assert capsys.readouterr().err == "lineside: there is no such folder\n"
