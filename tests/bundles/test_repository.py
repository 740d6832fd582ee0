import os
from pathlib import Path

import numpy as np
import pytest
from support.rights import as_somebody_else, open_to_others

from app.bundles.golden import GoldenPicture, write_golden
from app.bundles.repository import RepositoryListing, open_bundle, scan
from app.domain import ModelIdentity, Size
from app.errors import ManifestInvalid
from tests.bundles.manifests import CARCASS


def make(root: Path, name: str = "pig-sex", version: str = "1", manifest: str = CARCASS) -> Path:
    folder = root / name / version
    folder.mkdir(parents=True)
    (folder / "model.toml").write_text(manifest)
    (folder / "weights.safetensors").write_bytes(b"numbers")
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(ManifestInvalid) as caught:
        open_bundle(folder)
    assert str(folder.parent.parent) not in caught.value.message
    return caught.value.message


def test_a_bundle_says_what_is_needed_to_build_and_serve_it(tmp_path: Path) -> None:
    folder = make(tmp_path)

    bundle = open_bundle(folder)

    assert bundle.identity == ModelIdentity("pig-sex", 1, bundle.digest)
    assert bundle.digest.startswith("sha256:")
    assert bundle.weights_path == folder / "weights.safetensors"
    assert bundle.classes == ("castrate", "boar", "female")
    assert bundle.labels("ko") == ("거세", "수", "암")
    assert bundle.network_spec.input_size == Size(224, 224)
    assert len(bundle.geometry.steps) == 3
    assert bundle.golden is None


def test_a_bundle_brings_its_golden_images(tmp_path: Path) -> None:
    folder = make(tmp_path)
    picture = GoldenPicture("a.png", b"a", np.float32([1, 2, 3]))
    write_golden(
        folder, classes=("castrate", "boar", "female"), made_with={"torch": "2.10.0"}, pictures=[picture]
    )

    golden = open_bundle(folder).golden

    assert golden is not None
    assert golden.logits().tolist() == [[1, 2, 3]]


def test_the_digest_follows_manifest_and_weights(tmp_path: Path) -> None:
    folders = [
        make(tmp_path, version="1"),
        make(tmp_path, version="2", manifest=CARCASS + "# a comment\n"),
        make(tmp_path, version="3"),
        make(tmp_path, version="4"),
    ]
    (folders[2] / "weights.safetensors").write_bytes(b"other numbers")

    first, commented, retrained, copy = [open_bundle(folder).digest for folder in folders]

    assert first == copy
    assert len({first, commented, retrained}) == 3


def test_a_repository_lists_its_bundles_by_name_and_version(tmp_path: Path) -> None:
    for name, version in [("b", "10"), ("b", "9"), ("a.1_x-y", "1")]:
        make(tmp_path, name, version)

    listing = scan(tmp_path)

    assert [(entry.name, entry.version) for entry in listing.found] == [("a.1_x-y", 1), ("b", 9), ("b", 10)]
    assert [open_bundle(entry.folder).version for entry in listing.found] == [1, 9, 10]
    assert listing.refused == ()
    assert listing.notes == ()


def test_an_empty_repository_is_empty_and_a_missing_one_is_said_to_be(tmp_path: Path) -> None:
    assert scan(tmp_path) == RepositoryListing()
    assert "does not exist" in (scan(tmp_path / "none").fault or "")


def test_what_may_not_be_read_is_no_empty_place() -> None:
    """A repository, a model, a version, a manifest, golden images: each with whose right is missing."""
    with open_to_others() as folder:
        listing, said, closed = listed_by_somebody_else(folder / "models")

    assert set(said) == {*closed, "root"}
    for reason in said.values():
        assert "cannot be read: Permission denied; this runs as user " in reason
        assert "chmod -R a+rX" in reason
    assert listing.notes == ()


def listed_by_somebody_else(root: Path) -> tuple[RepositoryListing, dict[str, str], set[str]]:
    """What is told of a repository with these things closed, by name; then of a closed repository."""
    closed = {
        "model": make(root, "model").parent,
        "version": make(root, "version"),
        "manifest": make(root, "manifest") / "model.toml",
        "golden": make(root, "golden") / "golden",
    }
    closed["golden"].mkdir()
    for path in closed.values():
        path.chmod(0)

    with as_somebody_else():
        listing = scan(root)
        unopened = {}
        for entry in listing.found:
            with pytest.raises(ManifestInvalid) as caught:
                open_bundle(entry.folder)
            unopened[entry.name] = caught.value.message
    for path in closed.values():
        path.chmod(0o755)
    root.chmod(0)
    with as_somebody_else():
        nothing = scan(root)
    root.chmod(0o755)

    said = {
        **listing.unreadable,
        **{entry.name: entry.reason for entry in listing.refused},
        **unopened,
        "root": nothing.fault or "",
    }
    return listing, said, set(closed)


def test_odd_entries_are_noted_and_hurt_nobody(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "README.md").touch()
    (tmp_path / ".git").mkdir()
    (tmp_path / "my model").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "pig-sex" / "model.toml").touch()
    for odd in ("01", "0", "-1", "v2", "latest", "\u0661", ".2.writing-0a1b2c3d", "1" * 10):
        (tmp_path / "pig-sex" / odd).mkdir()
    (tmp_path / "pig-sex" / "7").touch()

    listing = scan(tmp_path)

    assert [(entry.name, entry.version) for entry in listing.found] == [("pig-sex", 1)]
    assert listing.refused == ()
    assert len(listing.notes) == 4 + 1 + 8 + 1
    assert "`pig-sex/model.toml` lies one folder too high; a bundle lives in pig-sex/1/" in listing.notes
    assert "`empty` has no version; a bundle lives in empty/1/" in listing.notes


def test_a_version_without_a_manifest_is_refused_not_passed_over(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "pig-sex" / "2").mkdir()

    listing = scan(tmp_path)

    assert [entry.version for entry in listing.found] == [1]
    assert [entry.version for entry in listing.refused] == [2]
    assert listing.refused[0].reason == "pig-sex/2: the folder has no model.toml"


def test_a_repository_that_is_a_file_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "models").touch()

    listing = scan(tmp_path / "models")

    assert listing.found == ()
    assert listing.fault == "the model repository cannot be read: Not a directory"


def test_links_that_leave_the_repository_are_refused(tmp_path: Path) -> None:
    elsewhere = make(tmp_path / "elsewhere", "x", "1")
    root = tmp_path / "models"
    make(root, "inside", "1")
    (root / "inside" / "2").symlink_to(root / "inside" / "1")
    (root / "inside" / "3").symlink_to(elsewhere)
    (root / "inside" / "4").symlink_to(root / "nowhere")
    (root / "inside" / "5").symlink_to(root / "inside" / "5")
    (root / "outside").symlink_to(elsewhere.parent)

    listing = scan(root)

    assert [(entry.name, entry.version) for entry in listing.found] == [("inside", 1), ("inside", 2)]
    assert [(entry.name, entry.version) for entry in listing.refused] == [
        ("inside", 3),
        ("inside", 4),
        ("inside", 5),
        ("outside", 1),
    ]


@pytest.mark.parametrize("name", ["weights.safetensors", "model.toml"])
def test_a_file_may_not_be_a_link_out_of_its_bundle(tmp_path: Path, name: str) -> None:
    folder = make(tmp_path / "models")
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")

    assert f"`{name}` is a link that is broken or leaves the bundle's folder" in refusal(folder)


def test_links_within_the_bundle_are_followed_as_mounted_volumes_need(tmp_path: Path) -> None:
    folder = make(tmp_path)
    (folder / "..data").mkdir()
    (folder / "model.toml").rename(folder / "..data" / "model.toml")
    (folder / "model.toml").symlink_to("..data/model.toml")

    assert open_bundle(folder).name == "pig-sex"


@pytest.mark.parametrize("name", ["weights.safetensors", "model.toml"])
def test_a_pipe_is_refused_not_waited_for(tmp_path: Path, name: str) -> None:
    folder = make(tmp_path)
    (folder / name).unlink()
    os.mkfifo(folder / name)

    assert f"`{name}` is not a regular file" in refusal(folder)


def test_missing_weights_are_told_with_what_lies_there(tmp_path: Path) -> None:
    folder = make(tmp_path)
    (folder / "weights.safetensors").rename(folder / "best.pth")

    assert refusal(folder) == (
        "pig-sex/1: the weight file `weights.safetensors` is not in the bundle's folder; "
        "beside model.toml lie `best.pth`"
    )


def test_a_wrong_manifest_names_its_bundle(tmp_path: Path) -> None:
    folder = make(tmp_path, manifest=CARCASS.replace("anchor", "ancor"))

    assert refusal(folder).startswith("pig-sex/1: model.toml: unknown key `ancor`")


@pytest.mark.parametrize(("name", "version"), [("pig-sex", "latest"), ("pig-sex", "01"), ("pig sex", "1")])
def test_a_bundle_in_the_wrong_place_is_refused(tmp_path: Path, name: str, version: str) -> None:
    assert "<name>/<version>/" in refusal(make(tmp_path, name, version))


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "pig-sex" / "1") == "pig-sex/1: `model.toml` is not in the bundle's folder"
