"""Reads one Keras file and forgets it: `python -m app.checkpoints.keras_probe FILE`.

The child process of keras_apart. If libhdf5 loops, crashes or asks for more memory than the file can mean,
this process ends and not the server's or the command's. Exit code 0: readable; REFUSED: not, and why.
"""

import sys
from pathlib import Path

from app.checkpoints.keras_apart import REFUSED
from app.checkpoints.keras_files import try_here

SPARE_BYTES = 2 * 2**30
"""Beside the file's contents, twice: Python, NumPy and their threads reserve address space freely."""


def main(path: Path) -> int:
    """Read the file under a limit of memory; the reason goes to standard output."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - Windows has none

        limit = SPARE_BYTES + 3 * path.stat().st_size
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    reason = try_here(path)
    if reason is None:
        return 0
    sys.stdout.buffer.write(reason.encode("utf-8", "backslashreplace"))
    return REFUSED


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
