"""Files inside a bundle: none is written outside of it."""

from pathlib import Path

from app.bundles.files import write_atomically


def test_link_in_a_bundle_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """It may lead to any file of this machine."""
    (tmp_path / "bundle").mkdir()
    outside, inside = tmp_path / "passwords", tmp_path / "bundle" / "golden.json"
    outside.write_text("another's")
    inside.symlink_to(outside)

    write_atomically(inside, b"ours")

    assert outside.read_text() == "another's"
    assert not inside.is_symlink()
    assert inside.read_bytes() == b"ours"
    assert [path.name for path in inside.parent.iterdir()] == ["golden.json"]
