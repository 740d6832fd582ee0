"""Makes a new bundle in the repository, whole or not at all.

manifest + a function that writes the weights + golden pictures -> <name>/<version>/ -> Bundle
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from app.bundles.files import hidden_sibling, to_disk, write_atomically
from app.bundles.golden import GoldenPicture, write_golden
from app.bundles.manifest import MANIFEST_FILE, Manifest, parse_manifest
from app.bundles.manifest_text import write_manifest
from app.bundles.repository import Bundle, load_bundle, place_of
from app.errors import BundleRefused


def write_bundle(
    folder: Path,
    *,
    manifest: Manifest | str,
    write_weights: Callable[[Path], object],
    pictures: Sequence[GoldenPicture] = (),
    made_with: Mapping[str, str] | None = None,
) -> Bundle:
    """Writes <name>/<version>/ and opens it, so that what was written is what would be read.

    Everything goes into a hidden folder beside it, which gets its name last. After an exception
    of any kind, `write_weights` included, nothing of it remains; after a power cut at most the
    hidden folder does, which a scan passes over.

    Args:
        folder: <name>/<version>/, which must not exist.
        manifest: as values, which then count the golden images, or as a text that keeps its own comments.
        write_weights: called once with the path of the file that it must make.
        pictures: golden images; none, and the bundle has no self-test.
        made_with: versions of what recorded the golden logits.

    Raises:
        BundleRefused: the version exists already.
        ManifestInvalid: the manifest, the weights' file or the golden images are not in order.
    """
    name, version = place_of(folder)
    text = write_manifest(_counted(manifest, pictures)) if isinstance(manifest, Manifest) else manifest
    checked = parse_manifest(text.encode())
    _refuse_existing(folder, name, version)

    parents = [parent for parent in (folder.parent.parent, folder.parent) if not parent.exists()]
    temporary = hidden_sibling(folder)
    temporary.mkdir(parents=True)
    try:
        weights = temporary / checked.weights
        write_atomically(temporary / MANIFEST_FILE, text.encode())
        write_weights(weights)
        # safetensors makes files that only their owner may read; the container serves as somebody else.
        if weights.is_file() and not weights.is_symlink():
            weights.chmod((temporary / MANIFEST_FILE).stat().st_mode & 0o777)
        if pictures:
            write_golden(
                temporary,
                classes=checked.classes,
                made_with=made_with or {},
                pictures=pictures,
                weights=weights if weights.is_file() else None,  # else refused below, with the reason
                preprocess=checked.preprocess.facts(),
            )
        load_bundle(temporary, name=name, version=version)
        for path in (weights, *temporary.rglob("*/"), temporary):
            to_disk(path)
        _refuse_existing(folder, name, version)  # another writer may have been faster
        try:
            temporary.rename(folder)
        except OSError as error:
            _refuse_existing(folder, name, version)
            raise BundleRefused(f"{name}/{version} cannot be written: {error.strerror}") from error
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        for parent in reversed(parents):
            with suppress(OSError):  # somebody else's bundle may have come to lie in it
                parent.rmdir()
        raise
    to_disk(folder.parent)
    return load_bundle(folder, name=name, version=version)


def _counted(manifest: Manifest, pictures: Sequence[GoldenPicture]) -> Manifest:
    golden = manifest.golden.model_copy(update={"images": len(pictures) or None})
    return manifest.model_copy(update={"golden": golden})


def _refuse_existing(folder: Path, name: str, version: int) -> None:
    if folder.exists() or folder.is_symlink():
        raise BundleRefused(f"{name}/{version} exists already; a version is never overwritten, take the next")
