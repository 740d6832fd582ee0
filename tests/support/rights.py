"""The rights of a user who is not root: root may read everything, and would not find out what others may not."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """This process has the rights of another user, where it is root's."""
    if os.geteuid():
        yield
        return
    os.seteuid(10001)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def open_to_others() -> Iterator[Path]:
    """A folder that others may list, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
