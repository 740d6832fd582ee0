"""What a user names to be written is written where it leads, and nothing else is lost."""

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import pytest

from app.cli.outputs import check_output, check_pair, write_outputs
from app.errors import InvalidRequest


@contextmanager
def terminal() -> Iterator[tuple[Path, int]]:
    """A character device that needs no root, and where to read what was written into it."""
    screen, device = os.openpty()
    try:
        yield Path(os.ttyname(device)), screen
    finally:
        os.close(screen)
        os.close(device)


def test_link_stays_and_its_file_is_written(tmp_path: Path) -> None:
    """In one go: who has the file open still reads the old one; a link to nothing makes its file."""
    (tmp_path / "other").mkdir()
    real, link = tmp_path / "other" / "real.env", tmp_path / "link.env"
    real.write_text("mine")
    link.symlink_to("other/real.env")
    broken = tmp_path / "broken.svg"
    broken.symlink_to("other/new.svg")

    with real.open() as reader:
        write_outputs((link, b"ours"), (broken, b"<svg/>"))
        assert reader.read() == "mine"

    assert (link.is_symlink(), broken.is_symlink()) == (True, True)
    assert (real.read_bytes(), broken.read_bytes()) == (b"ours", b"<svg/>")
    assert sorted(path.name for path in real.parent.iterdir()) == ["new.svg", "real.env"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.svg", "link.env", "other"]


def test_file_that_is_replaced_keeps_who_may_read_it_and_may_have_a_long_name(tmp_path: Path) -> None:
    """Photographs of people's animals, for instance. The hidden file beside has the longest names cut."""
    report = tmp_path / ("보" * 83 + ".html")
    report.write_text("mine")
    report.chmod(0o600)

    write_outputs((report, b"ours"))

    assert (stat.S_IMODE(report.stat().st_mode), report.read_bytes()) == (0o600, b"ours")


def test_device_is_written_into_also_through_a_link_and_without_force(tmp_path: Path) -> None:
    with terminal() as (device, screen):
        link = tmp_path / "link"
        link.symlink_to(device)

        for path in (device, link):
            check_output(path, replaces=False)
            write_outputs((path, b"ours;"), replaces=False)
            assert os.read(screen, 100) == b"ours;"

        check_pair(("--out", device), ("--plot", link))
        assert stat.S_ISCHR(device.stat().st_mode)
        assert link.is_symlink()


def test_device_made_by_root_stays_one(tmp_path: Path) -> None:
    null = tmp_path / "null"
    try:
        os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        null.write_bytes(b"")
    except PermissionError:
        pytest.skip("making and opening a device needs root")

    write_outputs((null, b"ours"))

    assert stat.S_ISCHR(null.stat().st_mode)


def test_pipe_is_written_into_where_somebody_reads_and_is_never_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(InvalidRequest, match="nobody reads it"):
        write_outputs((pipe, b"ours"))

    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_outputs((pipe, b"ours"), replaces=False)
    assert os.read(reader, 100) == b"ours"
    os.close(reader)
    assert pipe.is_fifo()


def test_what_is_no_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to("round")

    for path, said in ((tmp_path, "is a folder"), (tmp_path / "round", "symbolic links")):
        for refused in (lambda path=path: check_output(path), lambda path=path: write_outputs((path, b""))):
            with pytest.raises(InvalidRequest, match=said) as caught:
                refused()
            assert str(path) in caught.value.message

    assert (tmp_path / "round").is_symlink()


def test_two_names_of_one_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("a.env")

    with pytest.raises(InvalidRequest, match="--out and --plot both name"):
        check_pair(("--out", tmp_path / "a.env"), ("--plot", tmp_path / "link"))


def test_file_that_came_meanwhile_is_not_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    """Neither the plot of settings that were not written, nor anything half-written; unless --force says so."""
    plot, out = tmp_path / "tune.svg", tmp_path / "lineside.env"
    out.write_text("another's")

    with pytest.raises(InvalidRequest, match="--force"):
        write_outputs((plot, b"<svg/>"), (out, b"ours"), replaces=False)
    assert [path.name for path in tmp_path.iterdir()] == ["lineside.env"]
    assert out.read_text() == "another's"

    write_outputs((plot, b"<svg/>"), (out, b"ours"))
    assert out.read_bytes() == b"ours"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lineside.env", "tune.svg"]


def test_of_two_at_once_one_writes_both_files_and_the_other_none(tmp_path: Path) -> None:
    """Each has a plot of its own; all name the same settings."""
    start = Barrier(8)

    def write(number: int) -> bool:
        start.wait()
        try:
            write_outputs(
                (tmp_path / f"{number}.svg", b"<svg/>"),
                (tmp_path / "race.env", b"%d" % number),
                replaces=False,
            )
        except InvalidRequest:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        wrote = list(pool.map(write, range(8)))

    assert sum(wrote) == 1
    assert (tmp_path / "race.env").read_bytes() == b"%d" % wrote.index(True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{wrote.index(True)}.svg", "race.env"]


def test_what_was_written_before_a_failure_is_taken_back(tmp_path: Path) -> None:
    """Here the last one is a pipe that nobody reads."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(InvalidRequest):
        write_outputs((tmp_path / "tune.svg", b"<svg/>"), (tmp_path / "pipe", b"ours"), replaces=False)

    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
