"""A folder gets its name whole, or not at all."""

from pathlib import Path

import pytest

from app.bundles.placing import put_in_place, workshop
from app.errors import BundleRefused


def everything(folder: Path) -> dict[str, bytes]:
    """Every file below, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def make(place: Path, names: str, *, seal: str | None = None) -> None:
    """Files of these letters, put in place."""
    with workshop(place) as made:
        made.mkdir()
        for name in names.split():
            (made / name).write_bytes(b"new")
        put_in_place(made, place, seal=seal)


def fail_half_way(place: Path) -> None:
    with workshop(place) as made:
        made.mkdir()
        (made / "a").write_bytes(b"1")
        raise ZeroDivisionError


def test_what_was_put_in_place_is_all_that_remains(tmp_path: Path) -> None:
    place = tmp_path / "line" / "2"
    with workshop(place) as made:
        made.mkdir()
        (made / "a").write_bytes(b"1")
        made.with_name("scrap").mkdir()
        assert not place.exists()
        put_in_place(made, place)

    assert everything(tmp_path) == {"line/2/a": b"1"}
    assert [entry.name for entry in place.parent.iterdir()] == ["2"]


def test_after_an_exception_nothing_remains(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        fail_half_way(tmp_path / "new" / "line" / "1")

    assert list(tmp_path.iterdir()) == []


def test_a_version_is_not_overwritten(tmp_path: Path) -> None:
    place = tmp_path / "line" / "1"
    place.mkdir(parents=True)
    (place / "a").write_bytes(b"old")

    with pytest.raises(BundleRefused, match="line/1 exists already"):
        make(place, "a")

    assert everything(tmp_path) == {"line/1/a": b"old"}


def test_with_a_seal_files_replace_those_of_their_names(tmp_path: Path) -> None:
    place = tmp_path / "1" / "openvino"
    place.mkdir(parents=True)
    for name in ("form.bin", "form.json", "other.json"):
        (place / name).write_bytes(b"old")

    make(place, "form.bin form.json form.xml", seal="form.json")

    assert everything(place) == {
        "form.bin": b"new",
        "form.json": b"new",
        "form.xml": b"new",
        "other.json": b"old",
    }
    assert [entry.name for entry in place.parent.iterdir()] == ["openvino"]


def test_while_files_are_replaced_the_seal_is_gone(tmp_path: Path) -> None:
    """A folder in the way of one of them stops it half way: what is there then is no form, rather than a mixed one."""
    place = tmp_path / "1" / "openvino"
    (place / "form.xml").mkdir(parents=True)
    (place / "form.json").write_bytes(b"old")

    with pytest.raises(BundleRefused, match="1/openvino cannot be written"):
        make(place, "form.json form.xml", seal="form.json")

    assert not (place / "form.json").exists()


def test_where_nothing_can_be_written_the_message_says_so(tmp_path: Path) -> None:
    (tmp_path / "line").write_bytes(b"a file where the model's folder should be")

    with (
        pytest.raises(BundleRefused, match="line/1 cannot be written: Not a directory"),
        workshop(tmp_path / "line" / "1"),
    ):
        pytest.fail("there is no workshop")
