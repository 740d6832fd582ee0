"""The model repository on disk: <root>/<name>/<version>/ -> what is there, and one bundle opened and checked.

root -> scan -> RepositoryListing (cheap: names only)
folder -> open_bundle -> Bundle (reads the manifest, hashes the weights, checks the golden images)

Nothing is written and no weight is loaded here. A bundle that may not serve is a ManifestInvalid
with the reason; its neighbours are not its business.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.bundles.digest import bundle_digest
from app.bundles.files import file_inside, is_inside, is_there, read_inside, why_not
from app.bundles.golden import GOLDEN_FOLDER, Golden, read_golden
from app.bundles.manifest import MANIFEST_FILE, MAX_MANIFEST_BYTES, Manifest, parse_manifest
from app.bundles.problems import listed, shortened
from app.domain import Geometry, ModelIdentity, NetworkSpec
from app.errors import BundleRefused, ManifestInvalid

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
HOW_TO_NAME_IT = (
    "point LINESIDE_MODEL_REPOSITORY (or --models) at a folder that holds <name>/1/ (docs/bundles.md)"
)
VERSION = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model on disk whose manifest, files and golden images are in order; its weights are not loaded."""

    name: str
    version: int
    folder: Path
    manifest: Manifest
    digest: str
    golden: Golden | None

    @property
    def identity(self) -> ModelIdentity:
        """What every reply carries."""
        return ModelIdentity(self.name, self.version, self.digest)

    @property
    def weights_path(self) -> Path:
        """The weight file."""
        return self.folder / self.manifest.weights

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of the head's outputs."""
        return self.manifest.classes

    @property
    def network_spec(self) -> NetworkSpec:
        """Everything but the weights that the network is built from."""
        return self.manifest.network_spec()

    @property
    def geometry(self) -> Geometry:
        """What happens to a decoded picture."""
        return self.manifest.geometry()

    def labels(self, language: str) -> tuple[str, ...]:
        """What people read, in the order of the classes."""
        return self.manifest.labels(language)


@dataclass(frozen=True, slots=True)
class BundleFolder:
    """A folder that should hold a bundle."""

    name: str
    version: int
    folder: Path


@dataclass(frozen=True, slots=True)
class RefusedFolder:
    """A version that cannot even be opened, and why."""

    name: str
    version: int
    reason: str


@dataclass(frozen=True, slots=True)
class RepositoryListing:
    """What lies in a repository, by name and version."""

    found: tuple[BundleFolder, ...] = ()
    refused: tuple[RefusedFolder, ...] = ()
    fault: str | None = None
    """Why nothing of it could be listed."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Models whose versions cannot be listed, by name: why. Which versions there are, nobody knows."""
    notes: tuple[str, ...] = ()
    """Entries that were passed over, for the log."""


def scan(root: Path) -> RepositoryListing:
    """Lists the bundles of a repository without opening them."""
    found: list[BundleFolder] = []
    refused: list[RefusedFolder] = []
    unreadable: dict[str, str] = {}
    notes: list[str] = []
    try:
        models = [(entry, _not_a_model(entry)) for entry in sorted(root.iterdir())]
    except FileNotFoundError:
        return RepositoryListing(fault=f"the model repository does not exist; {HOW_TO_NAME_IT}")
    except OSError as error:
        return RepositoryListing(fault=f"the model repository cannot be read: {why_not(error)}")
    for model, problem in models:
        if problem:
            notes.append(problem)
            continue
        try:
            entries = sorted(model.iterdir())
            problems = [_not_a_version(model.name, entry) for entry in entries]
        except OSError as error:
            unreadable[model.name] = f"`{model.name}` cannot be read: {why_not(error)}"
            continue
        notes += filter(None, problems)
        versions = [entry for entry, problem in zip(entries, problems, strict=True) if problem is None]
        for entry in versions:
            version = int(entry.name)
            if reason := _no_bundle(entry, root):
                refused.append(RefusedFolder(model.name, version, f"{model.name}/{version}: {reason}"))
            else:
                found.append(BundleFolder(model.name, version, entry))
        if not versions:
            notes.append(f"`{model.name}` has no version; a bundle lives in {model.name}/1/")
    return RepositoryListing(
        tuple(sorted(found, key=lambda entry: (entry.name, entry.version))),
        tuple(sorted(refused, key=lambda entry: (entry.name, entry.version))),
        unreadable=unreadable,
        notes=tuple(notes),
    )


def _no_bundle(folder: Path, root: Path) -> str | None:
    if not is_inside(folder, root):
        return "a link that is broken or leaves the model repository; copy the folder into it"
    try:
        return None if is_there(folder / MANIFEST_FILE) else f"the folder has no {MANIFEST_FILE}"
    except OSError as error:
        return f"the folder cannot be read: {why_not(error)}"


def _not_a_model(entry: Path) -> str | None:
    shown = shortened(entry.name)
    if entry.name.startswith("."):
        return f"`{shown}` is hidden and passed over"
    if not entry.is_dir():
        return f"`{shown}` is not a folder; a bundle lives in <name>/<version>/"
    if not NAME.fullmatch(entry.name):
        return f"`{shown}` is no model name: letters, digits, dots, dashes and underscores, at most 64"
    return None


def _not_a_version(name: str, entry: Path) -> str | None:
    shown = f"{name}/{shortened(entry.name)}"
    if entry.name.startswith("."):
        return f"`{shown}` is hidden and passed over"
    if entry.name == MANIFEST_FILE:
        return f"`{shown}` lies one folder too high; a bundle lives in {name}/1/"
    if not VERSION.fullmatch(entry.name):
        return f"`{shown}` is no version: a folder named by a positive integer, such as {name}/1/"
    if not entry.is_dir() and not entry.is_symlink():
        return f"`{shown}` is not a folder"
    return None


def open_bundle(folder: Path) -> Bundle:
    """Opens <name>/<version>/, everything but the weights checked.

    Raises ManifestInvalid, or WeightsRefused where the weight file cannot be read; both say
    which bundle.
    """
    name, version = place_of(folder)
    return load_bundle(folder, name=name, version=version)


def place_of(folder: Path) -> tuple[str, int]:
    """Name and version, told from the folder's path; raises ManifestInvalid."""
    path = folder.absolute()
    if not NAME.fullmatch(path.parent.name) or not VERSION.fullmatch(path.name):
        raise ManifestInvalid(
            f"`{shortened(path.parent.name)}/{shortened(path.name)}` is no place for a bundle: "
            "it lives in <name>/<version>/, the version a positive integer"
        )
    return path.parent.name, int(path.name)


def load_bundle(folder: Path, *, name: str, version: int) -> Bundle:
    """As open_bundle, for a bundle that does not yet stand in its place."""
    try:
        data = read_inside(folder, MANIFEST_FILE, max_bytes=MAX_MANIFEST_BYTES)
        manifest = parse_manifest(data)
        weights = _weights(folder, manifest.weights)
        golden = read_golden(
            folder,
            manifest.classes,
            weights=weights,
            preprocess=manifest.preprocess.facts(),
        )
        _refuse_lost(manifest, golden)
        return Bundle(
            name=name,
            version=version,
            folder=folder,
            manifest=manifest,
            digest=bundle_digest(data, weights),
            golden=golden,
        )
    except BundleRefused as error:
        raise type(error)(f"{name}/{version}: {error.message}") from error
    except OSError as error:
        raise ManifestInvalid(f"{name}/{version}: the folder cannot be read: {why_not(error)}") from error


def _refuse_lost(manifest: Manifest, golden: Golden | None) -> None:
    """A bundle that was copied without its golden images would load, and nothing would prove it."""
    counted = manifest.golden.images
    there = 0 if golden is None else len(golden.images)
    if counted not in {None, there}:
        raise ManifestInvalid(
            f"golden images: `images` of [golden] says {counted}, and {there or 'none'} lie in `{GOLDEN_FOLDER}`: copy the whole "
            "bundle again; where they were taken out or added on purpose, change that line too"
        )


def _weights(folder: Path, name: str) -> Path:
    if not is_there(folder / name):
        others = sorted(
            entry.name for entry in folder.iterdir() if entry.is_file() and entry.name != MANIFEST_FILE
        )
        beside = f"; beside {MANIFEST_FILE} lie {listed(others)}" if others else ""
        raise ManifestInvalid(f"the weight file `{name}` is not in the bundle's folder{beside}")
    return file_inside(folder, name)
