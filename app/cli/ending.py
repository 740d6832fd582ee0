"""How a command ends: with what it has to say in one line, and with nothing half made left behind."""

import errno
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from app.errors import LinesideError

SYSTEMS_NO = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG, errno.ELOOP,
     errno.ENOTDIR, errno.EFBIG}
)  # fmt: skip
"""What the system refuses to this user, wherever it comes up: the file and the reason say what to do."""

NEEDS_TORCH = frozenset({"torch", "torchvision", "safetensors", "h5py"})


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Errors that we know are one line and exit code 1; SIGTERM ends as Ctrl-C does, whatever either came amid.

    Raises:
        SystemExit: then.
    """
    # What was half made is taken away. Commands that end otherwise, such as serve, say so themselves.
    ended_by: list[int] = []

    def terminated(number: int, _frame: object) -> None:
        ended_by.append(number)
        sys.exit(128 + number)

    def interrupted(number: int, _frame: object) -> None:
        ended_by.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, terminated)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell's background job ignores it
        signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    except LinesideError as error:
        _end(error.message)
    except OSError as error:
        if error.errno not in SYSTEMS_NO:
            raise
        _end(systems_words(error))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in NEEDS_TORCH:
            raise
        _end(f"this needs {error.name}, which is not installed here: pip install 'lineside[torch]'")
    finally:
        # What it came amid may have made another error of it: safetensors calls the file damaged, OpenVINO its own import.
        if ended_by:
            sys.exit(128 + ended_by[0])


def systems_words(error: OSError) -> str:
    """What the system refused, and about which file."""
    return f"{error.strerror}: {error.filename}" if error.filename else str(error)


def _end(message: str) -> None:
    Console(stderr=True, soft_wrap=True).print(f"[bold red]lineside:[/] {escape(message)}", highlight=False)
    sys.exit(1)
