"""A bundle with golden images, and a machine that runs it, as `wiring` has them."""

from pathlib import Path

from app.bundles.repository import Bundle
from app.wiring import Machine, Proved, prove
from app.wiring.cache import FormCache
from support.bundles import write_random_bundle
from support.pictures import picture_file

GOLDEN = {"a.jpg": picture_file(1), "b.png": picture_file(2, "PNG")}


def bundle_in(folder: Path, seed: int = 0) -> Bundle:
    return write_random_bundle(folder / "models", golden=GOLDEN, seed=seed)


def proved(bundle: Bundle, machine: Machine) -> Proved:
    found = prove(bundle.folder, machine=machine, batch_sizes=(1, 2), max_pixels=10**7)
    found.engine.close()
    return found


def machine(cache: Path | None = None, **options: object) -> Machine:
    """Without a cache of its own: the one that all tests share, in which the network may lie already."""
    return Machine("cpu", cache=FormCache(cache), **options)  # type: ignore[arg-type]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())
