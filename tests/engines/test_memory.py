"""Weights lie in huge pages, holes stay holes, and what a file has is given back."""

import io
import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from app.domain import Size
from app.engines import memory
from app.engines.base import Engine, EngineOutput, warm_up
from app.engines.memory import HUGE, Region, blocks_in_use, gather_into_huge_pages, release_file_pages

BYTES = 8 * HUGE
KERNEL = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
ARE_ASKED_FOR = memory.SETTING.exists() and "[madvise]" in memory.SETTING.read_text() and KERNEL >= (6, 1)

huge_pages = pytest.mark.skipif(not ARE_ASKED_FOR, reason="huge pages come unasked here, or not at all")


@pytest.fixture
def written() -> Iterator[mmap.mmap]:
    """Memory of which every page is in use."""
    with anonymous() as memory_map:
        for page in range(0, BYTES, mmap.PAGESIZE):
            memory_map[page] = page // mmap.PAGESIZE % 251
        yield memory_map


@huge_pages
def test_what_is_in_use_lies_in_huge_pages_and_is_the_same(written: mmap.mmap) -> None:
    before = bytes(written)
    assert figures(address_of(written))["AnonHugePages"] == 0
    gather_into_huge_pages()
    assert figures(address_of(written))["AnonHugePages"] >= BYTES - 2 * HUGE  # its ends may be no whole ones
    assert bytes(written) == before


@huge_pages
def test_warmed_network_lies_in_huge_pages(written: mmap.mmap) -> None:
    warm_up(cast("Engine", Computing()), [1])
    assert figures(address_of(written))["AnonHugePages"] >= BYTES - 2 * HUGE


@huge_pages
def test_network_on_another_device_needs_none(written: mmap.mmap) -> None:
    elsewhere = Computing()
    elsewhere.device = "cuda:0"
    warm_up(cast("Engine", elsewhere), [1])
    assert figures(address_of(written))["AnonHugePages"] == 0


@huge_pages
def test_who_turned_huge_pages_off_has_none(
    written: mmap.mmap, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    setting = tmp_path / "enabled"
    setting.write_text("always madvise [never]\n")
    for off in (setting, tmp_path / "absent"):
        monkeypatch.setattr(memory, "SETTING", off)
        gather_into_huge_pages()
    assert figures(address_of(written))["AnonHugePages"] == 0


@huge_pages
def test_holes_take_no_memory() -> None:
    with anonymous() as sparse:
        for page in range(0, BYTES, 2 * mmap.PAGESIZE):
            sparse[page] = 1
        before = figures(address_of(sparse))["Rss"]
        gather_into_huge_pages()
        assert figures(address_of(sparse))["Rss"] <= before + BYTES // 16


@pytest.mark.parametrize(("present", "gathered"), [([512, 460, 461], [1, 3]), ([512, 512], [1, 2]), ([], [])])
def test_table_says_which_have_few_holes_and_may_end_early(present: list[int], gathered: list[int]) -> None:
    """Of three huge pages; a kernel that says less of them is no reason to refuse a model."""
    table = np.zeros((len(present), 512), np.uint64)
    for row, count in zip(table, present, strict=True):
        row[:count] = 1 << 63
    pages = io.BytesIO(bytes(512 * 8) + table.tobytes() + bytes(8))
    found = blocks_in_use(Region(HUGE - mmap.PAGESIZE, 4 * HUGE + mmap.PAGESIZE, "rw-p", 0, ""), pages)
    assert [start // HUGE for start in found] == gathered


def test_pages_of_a_file_that_is_only_read_are_given_back_and_read_again(tmp_path: Path) -> None:
    file, other = tmp_path / "weights.bin", tmp_path / "other.bin"
    for one in (file, other):
        one.write_bytes(os.urandom(BYTES))
    with (
        file.open("rb") as first,
        other.open("rb") as second,
        mmap.mmap(first.fileno(), 0, access=mmap.ACCESS_READ) as released,
        mmap.mmap(second.fileno(), 0, access=mmap.ACCESS_READ) as kept,
    ):
        for page in range(0, BYTES, mmap.PAGESIZE):
            assert isinstance(released[page] + kept[page], int)
        release_file_pages(file)
        assert figures(address_of(released))["Rss"] == 0
        assert figures(address_of(kept))["Rss"] == BYTES
        assert released[:] == file.read_bytes()


class Computing:
    """As much of an engine as is warmed."""

    device = "cpu"
    input_size = Size(width=2, height=2)

    @property
    def ways(self) -> tuple[object, ...]:
        return (self.run,)

    def run(self, images: np.ndarray) -> EngineOutput:
        return EngineOutput(
            logits=np.zeros((len(images), 3), np.float32),
            evidence=np.zeros((len(images), 3, 1, 1), np.float32),
        )


def anonymous() -> mmap.mmap:
    """Memory of no file, of which the kernel makes no one mapping with its neighbours."""
    made = mmap.mmap(-1, BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    made.madvise(mmap.MADV_DONTDUMP)
    return made


def address_of(memory_map: mmap.mmap) -> int:
    """Of its first byte."""
    return int(np.frombuffer(memory_map, np.uint8).__array_interface__["data"][0])


def figures(address: int) -> dict[str, int]:
    """Bytes, by what /proc/self/smaps calls them, of the mapping that holds the address."""
    found: dict[str, int] = {}
    is_in = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if match := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            is_in = int(match[1], 16) <= address < int(match[2], 16)
        elif is_in and line.endswith(" kB"):
            name, kilobytes, _ = line.split()
            found[name.rstrip(":")] = int(kilobytes) << 10
    return found
