import shutil
from pathlib import Path

import numpy as np
import pytest

from app.bundles.golden import GoldenPicture, write_golden
from app.bundles.manifest import Manifest, parse_manifest
from app.bundles.repository import open_bundle, scan
from app.bundles.writer import write_bundle
from app.errors import BundleRefused, ManifestInvalid
from tests.bundles.manifests import CARCASS

PICTURE = GoldenPicture("a.png", b"a", np.float32([1, 2, 3]), "female")


def write_weights(path: Path) -> None:
    path.write_bytes(b"numbers")


def counting(manifest: Manifest, images: int) -> Manifest:
    return manifest.model_copy(update={"golden": manifest.golden.model_copy(update={"images": images})})


def left_in(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_what_was_written_is_what_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "pig-sex" / "1"

    written = write_bundle(
        folder,
        manifest=parse_manifest(CARCASS.encode()),
        write_weights=write_weights,
        pictures=[PICTURE],
        made_with={"torch": "2.10.0"},
    )

    assert written == open_bundle(folder)
    assert written.manifest == counting(parse_manifest(CARCASS.encode()), 1)
    assert written.golden is not None
    assert written.golden.made_with == {"torch": "2.10.0"}
    assert left_in(folder) == [
        "golden",
        "golden/a.png",
        "golden/golden.json",
        "model.toml",
        "weights.safetensors",
    ]
    assert scan(tmp_path / "models").notes == ()


def test_a_bundle_that_lost_golden_images_is_refused(tmp_path: Path) -> None:
    """It would load, serve and be proved by nothing. Who takes them out on purpose says so in the manifest."""
    manifest, folder = parse_manifest(CARCASS.encode()), tmp_path / "pig-sex" / "1"
    pictures = [PICTURE, GoldenPicture("b.png", b"b", np.float32([3, 2, 1]))]
    write_bundle(folder, manifest=manifest, write_weights=write_weights, pictures=pictures)

    shutil.rmtree(folder / "golden")
    with pytest.raises(ManifestInvalid, match="says 2, and none lie in `golden`: copy the whole bundle"):
        open_bundle(folder)
    write_golden(folder, classes=manifest.classes, made_with={}, pictures=[PICTURE])
    with pytest.raises(ManifestInvalid, match="says 2, and 1 lie in `golden`"):
        open_bundle(folder)
    text = (folder / "model.toml").read_text()
    (folder / "model.toml").write_text(text.replace("\nimages = 2", "\n"))
    assert open_bundle(folder).golden is not None


def test_the_count_is_that_of_the_pictures_whatever_the_values_said(tmp_path: Path) -> None:
    """A manifest is often taken over from another bundle."""
    manifest = counting(parse_manifest(CARCASS.encode()), 9)

    bundle = write_bundle(tmp_path / "pig-sex" / "1", manifest=manifest, write_weights=write_weights)

    assert bundle.manifest.golden.images is None


def test_a_text_keeps_its_own_comments(tmp_path: Path) -> None:
    text = CARCASS + "# trained on the summer's pictures\n"

    bundle = write_bundle(tmp_path / "pig-sex" / "1", manifest=text, write_weights=write_weights)

    assert (bundle.folder / "model.toml").read_text() == text
    assert bundle.golden is None


@pytest.mark.parametrize("is_empty", [True, False])
def test_an_existing_version_is_never_overwritten(tmp_path: Path, is_empty: bool) -> None:
    folder = tmp_path / "pig-sex" / "1"
    folder.mkdir(parents=True)
    if not is_empty:
        (folder / "model.toml").touch()
    before = left_in(tmp_path)

    with pytest.raises(BundleRefused, match="pig-sex/1 exists already"):
        write_bundle(folder, manifest=CARCASS, write_weights=write_weights)

    assert left_in(tmp_path) == before


def test_of_two_writers_the_slower_one_loses(tmp_path: Path) -> None:
    folder = tmp_path / "pig-sex" / "1"

    def write_slowly(path: Path) -> None:
        write_bundle(folder, manifest=CARCASS, write_weights=write_weights)
        path.write_bytes(b"other numbers")

    with pytest.raises(BundleRefused, match="exists already"):
        write_bundle(folder, manifest=CARCASS, write_weights=write_slowly)

    assert (folder / "weights.safetensors").read_bytes() == b"numbers"
    assert left_in(tmp_path) == [
        "pig-sex",
        "pig-sex/1",
        "pig-sex/1/model.toml",
        "pig-sex/1/weights.safetensors",
    ]


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()])
def test_nothing_half_written_remains(tmp_path: Path, failure: BaseException) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half of the num")
        raise failure

    with pytest.raises(type(failure)):
        write_bundle(tmp_path / "models" / "pig-sex" / "1", manifest=CARCASS, write_weights=fail)

    assert left_in(tmp_path) == []


def test_weights_that_were_not_written_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(ManifestInvalid, match=r"weights\.safetensors"):
        write_bundle(tmp_path / "pig-sex" / "1", manifest=CARCASS, write_weights=lambda path: None)

    assert left_in(tmp_path) == []


def test_a_wrong_golden_picture_leaves_nothing_and_spares_the_neighbours(tmp_path: Path) -> None:
    write_bundle(tmp_path / "pig-sex" / "1", manifest=CARCASS, write_weights=write_weights)
    before = left_in(tmp_path)

    with pytest.raises(ManifestInvalid, match="2 logits"):
        write_bundle(
            tmp_path / "pig-sex" / "2",
            manifest=CARCASS,
            write_weights=write_weights,
            pictures=[GoldenPicture("a.png", b"a", [1, 2])],
        )

    assert left_in(tmp_path) == before


def test_a_wrong_manifest_is_refused_before_the_weights_are_made(tmp_path: Path) -> None:
    with pytest.raises(ManifestInvalid, match="anchor"):
        write_bundle(
            tmp_path / "pig-sex" / "1",
            manifest=CARCASS.replace("anchor", "ancor"),
            write_weights=lambda path: pytest.fail("called"),
        )

    assert left_in(tmp_path) == []


@pytest.mark.parametrize("place", ["pig-sex/latest", "pig-sex/01", "pig sex/1"])
def test_a_bundle_is_written_only_where_it_would_be_found(tmp_path: Path, place: str) -> None:
    with pytest.raises(ManifestInvalid, match="<name>/<version>/"):
        write_bundle(tmp_path / place, manifest=CARCASS, write_weights=write_weights)

    assert left_in(tmp_path) == []


def test_weights_may_be_read_by_whoever_may_read_the_manifest(tmp_path: Path) -> None:
    """safetensors writes 0600; a container that serves as another user could not read its model."""
    bundle = write_bundle(tmp_path / "line" / "1", manifest=CARCASS, write_weights=private_file)

    assert bundle.weights_path.stat().st_mode & 0o777 == (bundle.folder / "model.toml").stat().st_mode & 0o777


def private_file(path: Path) -> None:
    path.write_bytes(b"weights")
    path.chmod(0o600)
