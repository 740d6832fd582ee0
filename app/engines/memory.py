"""What the kernel is told of this process's memory: what it may have back, and what is read again with every picture.

Does nothing where there is no /proc or no such advice.
"""

import ctypes
import mmap
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import numpy as np

MADV_DONTNEED: Final = 4
MADV_COLLAPSE: Final = 25
"""Linux 6.1 and later; see madvise(2)."""
HUGE: Final = 1 << 21
"""Bytes of a huge page on x86-64, and on arm64 with pages of 4 KiB."""
IN_USE: Final = 0.9
"""Of the small pages that become a huge one. The others are holes, which it fills."""
SETTING: Final = Path("/sys/kernel/mm/transparent_hugepage/enabled")

_REGION: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+) *(.*)")


class Region(NamedTuple):
    """Of this process's addresses, as a line of /proc/self/maps has it."""

    start: int
    end: int
    may: str
    """Letters: r, w, x, p."""
    inode: int
    """0: of no file."""
    file: str


def release_file_pages(path: Path) -> None:
    """Give the memory back in which this process maps a file that it only reads.

    OpenVINO keeps the .bin mapped beside the copy that it computes with: 90 MB of a ResNet-50's 400. The pages of an
    unchanged file are read again should anybody touch them, so nothing is lost.
    """
    for region in _regions():
        if region.file == str(path) and "w" not in region.may:
            _advise(region.start, region.end, MADV_DONTNEED)


def gather_into_huge_pages() -> None:
    """Put what this process has written into pages of 2 MiB instead of 4 KiB: weights above all, read with every picture.

    The processor then looks up some dozens of addresses for a ResNet-50's weights instead of ten thousand, and on a
    virtual machine each of those is looked up twice (docs/adr/0016). Takes some milliseconds for each that is new. Who has
    turned huge pages off (`never` in /sys/kernel/mm/transparent_hugepage/enabled) has none.
    """
    try:
        if "[never]" in SETTING.read_text():
            return
        with Path("/proc/self/pagemap").open("rb") as pages:
            for region in _regions():
                if region.inode == 0 and "rw" in region.may:
                    for start in blocks_in_use(region, pages):
                        _advise(start, start + HUGE, MADV_COLLAPSE)
    except OSError:
        return


def blocks_in_use(region: Region, pages: BinaryIO) -> Iterator[int]:
    """Where a huge page would have few holes.

    Args:
        region: of this process.
        pages: /proc/self/pagemap: a word for each page, bit 63: it is there.

    Yields:
        Addresses of huge pages that are whole within the region.
    """
    first, last = -(-region.start // HUGE), region.end // HUGE
    if first >= last:
        return
    in_block = HUGE // mmap.PAGESIZE
    pages.seek(first * in_block * 8)
    table = pages.read((last - first) * in_block * 8)
    # All of them, unless some kernel says less: no reason to refuse a model.
    whole = len(table) // (in_block * 8)
    words = np.frombuffer(table, np.uint64, whole * in_block)
    shares = (words >> np.uint64(63)).reshape(whole, in_block).mean(axis=1)
    yield from ((first + int(number)) * HUGE for number in np.flatnonzero(shares >= IN_USE))


def _regions() -> list[Region]:
    try:
        lines = Path("/proc/self/maps").read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    found = [match.groups() for line in lines if (match := _REGION.match(line))]
    return [
        Region(int(start, 16), int(end, 16), may, int(inode), file) for start, end, may, inode, file in found
    ]


def _advise(start: int, end: int, advice: int) -> None:
    """Advice that the kernel does not take changes nothing."""
    _libc().madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), advice)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
