"""A Keras file on disk -> its configuration as JSON and its arrays, read as data.

path -> sniff -> .h5 (whole model, or weights alone) | .keras (zip of config.json and model.weights.h5)
     -> KerasFile(config, stored arrays)

h5py and json alone, never Keras: its own loader runs code from a file (CVE-2025-9905, CVE-2025-1550).
Only plain numbers inside the file are read: no link is followed but the hard ones, no external storage, no
virtual data set, no reference, no filter (whose plugin would be loaded from disk). Sizes are compared with
the file's own before anything is allocated. As libhdf5 itself can loop or crash on forged bytes (flipping a few
does it), a child process reads the file first, with a limit on time and memory; only what it survived is
read here. Knows nothing of layers or networks.
"""

import io
import json
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from app.checkpoints.keras_apart import PATIENCE_S, tried_apart
from app.errors import WeightsRefused

HDF5_MAGIC: Final = b"\x89HDF\r\n\x1a\n"
ZIP_MAGIC: Final = b"PK\x03\x04"
MAX_BYTES: Final = 4 * 2**30
"""ResNet-152 with its optimiser's two moments has 0.7 GB."""
MAX_TEXT_BYTES: Final = 32 * 2**20
"""The configuration of ResNet-152 has 0.5 MB."""
MAX_OBJECTS: Final = 50_000
MAX_DEPTH: Final = 24
ZIP_MEMBERS: Final = ("config.json", "metadata.json", "model.weights.h5")

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """One array: who owns it, as far as the file says."""

    groups: tuple[str, ...]
    """Layer names, outermost first: `("resnet50", "conv1_conv")`; older files may add a scope between."""
    variable: str
    """`kernel`, `gamma`, ..., or the position among the layer's variables (Keras 3): `0`."""
    array: Array
    is_numbered: bool = False
    """Whether the groups are not names but class and position: `("functional", "conv2d_7")`."""


@dataclass(frozen=True, slots=True)
class KerasFile:
    """All that is read of a file."""

    form: str
    """In words, such as `Keras .h5, whole model`."""
    keras_version: str | None
    config: dict[str, Any] | None
    """The model as JSON; None where the file holds weights alone."""
    stored: tuple[Stored, ...]


def is_keras(path: Path) -> bool:
    """Whether the first bytes, or a zip's list of contents, are those of a Keras file."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            if start.startswith(ZIP_MAGIC):
                with zipfile.ZipFile(file) as archive:
                    return {"config.json", "model.weights.h5"} <= set(archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False
    return start == HDF5_MAGIC


def read_keras_file(path: Path, *, patience_s: float = PATIENCE_S) -> KerasFile:
    """Everything of a Keras file that matters, in memory.

    Args:
        path: the file.
        patience_s: for the child process that tries it first, on top of the time that its size asks for.

    Raises:
        WeightsRefused: unreadable, damaged, too large, or with anything in it but plain numbers and text.
    """
    try:
        tried_apart(path, patience_s=patience_s)
        return _read(path)
    except WeightsRefused as refusal:
        raise WeightsRefused(f"{path.name}: {refusal.message}") from refusal
    except Exception as error:  # forged bytes reach almost any error of h5py, zipfile and json
        raise WeightsRefused(f"{path.name}: {_damage(error, path)}") from error


def try_here(path: Path) -> str | None:
    """For the child process: why the file is refused; None where it can be read."""
    try:
        _read(path)
    except WeightsRefused as refusal:
        return refusal.message
    except Exception as error:  # noqa: BLE001 - as in read_keras_file
        return _damage(error, path)
    return None


def _damage(error: Exception, path: Path) -> str:
    words = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return f"truncated or damaged ({shown(words.replace(str(path.parent), ''))})"


def _read(path: Path) -> KerasFile:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise WeightsRefused("not a file")
    if status.st_size > MAX_BYTES:
        raise WeightsRefused(f"{status.st_size:,} bytes; at most {MAX_BYTES:,} are read")
    with path.open("rb") as file:
        start = file.read(8)
        file.seek(0)
        if start == HDF5_MAGIC:
            return _read_h5(file, status.st_size)
        if start.startswith(ZIP_MAGIC):
            return _read_zip(file, status.st_size)
    raise WeightsRefused("neither a Keras .h5 nor a .keras file")


def _read_h5(file: BinaryIO, size: int) -> KerasFile:
    with h5py.File(file, "r") as root:
        config = _text(root, "model_config")
        version = _text(root, "keras_version")
        if config is not None:
            stored = _named(_child(root, "model_weights"), size)
            return KerasFile("Keras .h5, whole model", version, _json(config), stored)
        if "layer_names" in root.attrs:
            return KerasFile("Keras .h5, weights alone", version, None, _named(root, size))
        if _is_group(root, "layers"):
            return KerasFile("Keras 3 .weights.h5, weights alone", version, None, _numbered(root, size))
    raise WeightsRefused("an HDF5 file, but neither a model nor weights that Keras saved")


def _read_zip(file: BinaryIO, size: int) -> KerasFile:
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        if len(entries) != len(archive.infolist()) or len(entries) > MAX_OBJECTS:
            raise WeightsRefused("repeated or too many entries; forged")
        if "config.json" not in entries or "model.weights.h5" not in entries:
            raise WeightsRefused(
                "a zip file, but not one that Keras saved: config.json or model.weights.h5 is missing"
            )
        read = [entries[name] for name in ZIP_MEMBERS if name in entries]
        # Keras stores without compressing; a compressed entry can claim far more than the file holds.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in read) or (
            sum(entry.file_size for entry in read) > size
        ):
            raise WeightsRefused("its entries claim more than the file holds; not as Keras saves it")
        if any(entry.file_size > MAX_TEXT_BYTES for entry in read if entry.filename.endswith(".json")):
            raise WeightsRefused(f"a configuration of more than {MAX_TEXT_BYTES:,} bytes; forged")
        config = _json(archive.read("config.json").decode("utf-8"))
        about = _json(archive.read("metadata.json").decode("utf-8")) if "metadata.json" in entries else {}
        weights = archive.read("model.weights.h5")
    if not weights.startswith(HDF5_MAGIC):
        raise WeightsRefused("model.weights.h5 in it is no HDF5 file")
    with h5py.File(io.BytesIO(weights), "r") as root:
        stored = _numbered(root, len(weights))
    version = about.get("keras_version")
    return KerasFile(
        "Keras .keras", shown(version)[:40] if isinstance(version, str) else None, config, stored
    )


def _json(text: str) -> dict[str, Any]:
    if len(text) > MAX_TEXT_BYTES:
        raise WeightsRefused(f"a configuration of more than {MAX_TEXT_BYTES:,} bytes; forged")
    value = json.loads(text)
    if not isinstance(value, dict):
        raise WeightsRefused("its configuration is no JSON object")
    return value


def _text(root: h5py.File, name: str) -> str | None:
    """A text attribute of the file; None where there is none."""
    if name not in root.attrs:
        return None
    kind = root.attrs.get_id(name)
    if kind.shape != () or h5py.check_string_dtype(kind.dtype) is None:
        raise WeightsRefused(f"its attribute {name} is no text")
    value = root.attrs[name]
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _named(root: h5py.Group, size: int) -> tuple[Stored, ...]:
    """Layout of .h5: groups are layers, data sets are variables, with `:0` behind them before Keras 3."""
    return tuple(
        Stored(groups, name.removesuffix(":0"), array) for groups, name, array in _arrays(root, size)
    )


def _numbered(root: h5py.Group, size: int) -> tuple[Stored, ...]:
    """Layout of Keras 3: `layers/conv2d_7/vars/0`, where the attribute `name` of `vars` is the layer's.

    Files of Keras 2.12 to 3.5 or so lack it: there class and position are all there is.
    """
    found = []
    is_named = True
    for groups, name, array in _arrays(root, size):
        if groups[-1:] != ("vars",):
            continue
        at, numbers, names = root, [], []
        for group in groups[:-1]:
            at = at[group]
            if group in {"layers", "_layer_checkpoint_dependencies"}:
                continue
            inner = at["vars"].attrs.get("name") if _is_group(at, "vars") else None
            is_named = is_named and isinstance(inner, str)
            numbers.append(group)
            names.append(str(inner))
        found.append((tuple(names), tuple(numbers), name, array))
    return tuple(
        Stored(names if is_named else numbers, name, array, is_numbered=not is_named)
        for names, numbers, name, array in found
    )


def _arrays(root: h5py.Group, size: int) -> Iterator[tuple[tuple[str, ...], str, Array]]:
    """Every array below, after all were checked; groups from the outside in, name, numbers."""
    found = list(_datasets(root, (), [0]))
    claimed = sum(dataset.nbytes for *_, dataset in found)
    if claimed > size:
        raise WeightsRefused(
            f"its arrays claim {claimed:,} bytes, the file has {size:,}; truncated or forged"
        )
    for groups, name, dataset in found:
        yield groups, name, dataset[()] if dataset.shape == () else dataset[:]


def _datasets(
    group: h5py.Group, above: tuple[str, ...], seen: list[int]
) -> Iterator[tuple[tuple[str, ...], str, h5py.Dataset]]:
    if len(above) > MAX_DEPTH:
        raise WeightsRefused("groups inside groups without end; forged")
    for name in group:
        seen[0] += 1
        if seen[0] > MAX_OBJECTS:
            raise WeightsRefused(f"more than {MAX_OBJECTS:,} objects; forged")
        at = _child(group, name)
        if isinstance(at, h5py.Group):
            # The optimiser's moments are of no use, and Keras 3 keeps them beside the layers.
            if above or name not in {"optimizer", "optimizer_weights"}:
                yield from _datasets(at, (*above, name), seen)
        else:
            yield above, name, _checked(at, "/".join((*above, name)))


def _child(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    link = group.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        kind = "missing" if link is None else f"a link ({type(link).__name__}), which is not followed"
        raise WeightsRefused(f"{shown(name)}: {kind}")
    at = group[name]
    if not isinstance(at, h5py.Group | h5py.Dataset):
        raise WeightsRefused(f"{shown(name)}: neither a group nor an array")
    return at


def _is_group(group: h5py.Group, name: str) -> bool:
    return group.get(name, getclass=True, getlink=True) is h5py.HardLink and isinstance(
        group[name], h5py.Group
    )


def _checked(dataset: h5py.Dataset, name: str) -> h5py.Dataset:
    layout = dataset.id.get_create_plist()
    if layout.get_external_count() or layout.get_layout() == h5py.h5d.VIRTUAL:
        raise WeightsRefused(f"{shown(name)}: its numbers lie in another file, which is not opened")
    if dataset.dtype.kind not in "fiu" or dataset.dtype.hasobject or dataset.shape is None:
        raise WeightsRefused(f"{shown(name)}: not numbers but {shown(str(dataset.dtype))}")
    if layout.get_nfilters() or layout.get_layout() == h5py.h5d.CHUNKED:
        raise WeightsRefused(f"{shown(name)}: compressed or in chunks; Keras does not save so")
    if dataset.nbytes > dataset.id.get_storage_size():
        raise WeightsRefused(
            f"{shown(name)}: claims {dataset.nbytes:,} bytes and holds {dataset.id.get_storage_size():,}"
        )
    return dataset


def shown(text: str) -> str:
    """A file's own words, made safe for one line of a log."""
    cut = text if len(text) <= 120 else f"{text[:117]}..."
    return cut if cut.isprintable() else ascii(cut)
