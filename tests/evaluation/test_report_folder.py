"""A report takes nothing from anybody, and says so before the work."""

from pathlib import Path

import pytest

from app.errors import InvalidRequest
from app.evaluation.report_folder import check_folder, write_folder


def test_what_people_put_beside_a_report_is_not_deleted(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, {"evaluation.html": b"first"})
    (out / "notes.docx").write_bytes(b"of the meeting")

    for refused in (check_folder, lambda folder: write_folder(folder, {"evaluation.html": b"second"})):
        with pytest.raises(InvalidRequest, match=r"notes\.docx in it is no part"):
            refused(out)

    assert (out / "notes.docx").read_bytes() == b"of the meeting"
    assert (out / "evaluation.html").read_bytes() == b"first"


def test_what_a_file_manager_left_is_in_nobodys_way(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, {"audit.html": b"first"})
    (out / ".DS_Store").write_bytes(b"")

    check_folder(out)
    write_folder(out, {"evaluation.html": b"second"})

    assert sorted(entry.name for entry in out.iterdir()) == [".lineside-report", "evaluation.html"]


@pytest.mark.parametrize("name", ["file", "file/below", "/proc/nope/report"])
def test_where_nothing_can_be_written_is_told_before_the_work(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")

    with pytest.raises(InvalidRequest, match="--out"):
        check_folder(tmp_path / name)

    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_check_leaves_nothing_behind(tmp_path: Path) -> None:
    check_folder(tmp_path / "of" / "today")

    assert not list(tmp_path.iterdir())
