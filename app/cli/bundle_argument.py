"""Which bundle a command means: a folder, or a name in the model repository; and where a new one goes."""

from pathlib import Path

from app.bundles.manifest import MANIFEST_FILE
from app.bundles.problems import did_you_mean, listed
from app.bundles.repository import VERSION, place_of, scan
from app.errors import InvalidRequest, UnknownModel


def bundle_folder(given: str, repository: Path) -> Path:
    """The folder of `models/NAME/1`, `models/NAME`, `NAME/1` or `NAME`; the newest version where none is said.

    Raises:
        UnknownModel: there is none, with the names that exist.
    """
    for path in (Path(given), repository / given):
        if (path / MANIFEST_FILE).is_file():
            return path.absolute()
        if path.is_dir() and (versions := _versions(path)):
            return (path / str(max(versions))).absolute()
        model, version = path.parent, path.name
        if VERSION.fullmatch(version) and model.is_dir() and (versions := _versions(model)):
            there = ", ".join(map(str, sorted(versions)))
            raise UnknownModel(f"{given}: {model.absolute().name} has no version {version}; it has {there}")
    listing = scan(repository)
    if given in listing.unreadable:
        raise UnknownModel(listing.unreadable[given])
    names = sorted({folder.name for folder in listing.found})
    there = listing.fault or f"the model repository holds {listed(names) if names else 'no bundle'}"
    raise UnknownModel(
        f"{given}: neither a bundle's folder (models/NAME/1) nor a model's name{did_you_mean(given, names)}; {there}"
    )


def next_version(model: Path) -> Path:
    """The folder of a version that does not exist yet, beside the others."""
    taken = [int(entry.name) for entry in model.iterdir() if VERSION.fullmatch(entry.name)]
    return model / str(max(taken, default=0) + 1)


def free_place(out: Path) -> Path:
    """<name>/<version>/ for a new bundle, from models/NAME (the next version) or models/NAME/3.

    Raises:
        InvalidRequest, ManifestInvalid: it is taken, or no place for a bundle.
    """
    if VERSION.fullmatch(out.name):
        folder = out
    else:
        taken = [0]
        if out.is_dir():
            taken += [int(entry.name) for entry in out.iterdir() if VERSION.fullmatch(entry.name)]
        folder = out / str(max(taken) + 1)
    place_of(folder)
    if folder.exists():
        raise InvalidRequest(
            f"{folder.parent.name}/{folder.name} exists already; a version is never overwritten"
        )
    return folder


def _versions(folder: Path) -> list[int]:
    return [
        int(entry.name)
        for entry in folder.iterdir()
        if VERSION.fullmatch(entry.name) and (entry / MANIFEST_FILE).is_file()
    ]
