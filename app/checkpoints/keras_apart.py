"""Has a child process read a Keras file before this one does.

libhdf5 can loop, crash or allocate without end on forged bytes: flipping eight random bytes of a small file
made it loop once in 400 tries. The child (keras_probe) has a limit on time and on memory.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

from app.errors import WeightsRefused

PATIENCE_S: Final = 20.0
"""For the child process: Python's start and a small file take 0.5 s, also on a busy machine under 10 s."""
BYTES_PER_S: Final = 20 * 2**20
"""On top of that; a slow network disk reads faster."""
REFUSED: Final = 3
"""The child's exit code when it has a reason to tell."""


def tried_apart(path: Path, *, patience_s: float = PATIENCE_S) -> None:
    """Let a child process read the file; what hangs, kills or exhausts it is refused.

    Raises:
        WeightsRefused: the child did not read it to the end; its reason.
        OSError: there is no such file.
    """
    limit_s = patience_s + path.stat().st_size / BYTES_PER_S
    # -P: a module in the current directory is not taken for one of ours.
    command = [sys.executable, "-P", "-m", "app.checkpoints.keras_probe", str(path.absolute())]
    try:
        child = subprocess.run(command, capture_output=True, timeout=limit_s, check=False)  # noqa: S603 - no shell
    except subprocess.TimeoutExpired:
        raise WeightsRefused(f"could not be read in {limit_s:.0f} s; damaged or forged") from None
    if child.returncode == REFUSED:
        raise WeightsRefused(child.stdout.decode("utf-8", "replace"))
    if child.returncode:
        raise WeightsRefused(f"truncated or damaged (its reader ended with code {child.returncode})")
