"""PyTorch's three containers, opened as data: the zip, the older pickle, and the TorchScript program.

path -> TorchFile: the pickle's value as plain values, and storages that become tensors when asked for

No tensor is made until somebody wants it, so an optimiser beside the weights costs nothing. Each is checked
against the bytes that its storage truly has: shapes that ask for more are refused, not allocated.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import torch
from torch import Tensor

from app.checkpoints.pickled import Name, Persistent, PickleDamaged, Thing, read_pickle
from app.errors import WeightsRefused

MAX_INDEX_BYTES: Final = 32 * 2**20
MAX_ZIP_ENTRIES: Final = 65_536
LEGACY_MAGIC: Final = 0x1950A86A20F9469CFC6C
MAGIC_BYTES: Final = 64
"""More than a pickle of it takes in any protocol."""
AS_TENSORS: Final = 'torch.save({k: torch.from_numpy(v) for k, v in arrays.items()}, "weights.pth")'

DTYPES: Final = {
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ShortStorage": torch.int16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "BoolStorage": torch.bool,
}

Fetch = Callable[[str, int], bytearray]
"""(storage key, bytes wanted) -> exactly so many bytes."""


@dataclass(frozen=True, slots=True)
class TorchFile:
    """One file: its value, and how to get at the numbers."""

    path: Path
    format: str
    value: Any
    names: frozenset[Name]
    fetch: Fetch
    is_program: bool = False
    sources: Callable[[], Mapping[str, str]] = dict
    """Of a program: the text of its classes, by module."""

    def is_tensor(self, value: object) -> bool:
        """Whether this record describes a tensor or a parameter."""
        return isinstance(value, Thing) and str(value.made_by) in _REBUILD

    def tensor(self, value: Thing) -> Tensor:
        """The tensor of a record; raises WeightsRefused."""
        try:
            return self._tensor(value)
        except (ValueError, TypeError, KeyError, IndexError, RuntimeError, OverflowError) as error:
            raise WeightsRefused(f"{self.path.name}: a tensor's record is damaged") from error

    def _tensor(self, value: Thing) -> Tensor:
        arguments = value.arguments
        if str(value.made_by) in _WRAPPERS:
            inner = arguments[0]
            if not self.is_tensor(inner) or str(inner.made_by) in _WRAPPERS:
                raise ValueError("a parameter of no tensor")
            return self._tensor(inner)
        storage, offset, shape, stride = arguments[:4]
        if isinstance(shape, Thing):
            shape = shape.arguments[0]  # torch.Size((...))
        numbers = (offset, *shape, *stride)
        if any(type(number) is not int or number < 0 for number in numbers) or len(shape) != len(stride):
            raise ValueError("sizes that are no numbers")
        kind, key, held = _storage_of(storage)
        dtype = DTYPES[kind.name]
        count = 1
        for size in shape:
            count *= size
        last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True)) + 1
        # A stride of zero makes terabytes of one number.
        if count > held or (count and last > held):
            raise WeightsRefused(f"{self.path.name}: a tensor of {count:,} numbers in a storage of {held:,}")
        if not count:
            return torch.empty(shape, dtype=dtype)
        whole = torch.frombuffer(self.fetch(key, held * dtype.itemsize), dtype=dtype)
        # A copy, so that the storage, which may hold other tensors, can go.
        return whole.as_strided(tuple(shape), tuple(stride), offset).clone(
            memory_format=torch.contiguous_format
        )


_WRAPPERS: Final = frozenset(
    {"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"}
)
_REBUILD: Final = _WRAPPERS | {"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor"}


def _storage_of(storage: object) -> tuple[Name, str, int]:
    """Type, key and number of elements, from ("storage", torch.FloatStorage, "0", "cpu", 64, ...)."""
    if not isinstance(storage, Persistent) or not isinstance(storage.identity, tuple):
        raise TypeError("a tensor without a storage")
    word, kind, key, _device, held, *view = storage.identity
    if word != "storage" or any(view) or not isinstance(kind, Name) or type(held) is not int or held < 0:
        raise TypeError("no storage")
    return kind, str(key), held


def open_zip(path: Path) -> TorchFile:
    """What torch.save or torch.jit.save wrote; raises WeightsRefused."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            _check_entries(path, archive.infolist(), size)
            indices = [name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
            if len(indices) != 1:
                raise WeightsRefused(f"{path.name}: a zip file, but not one that torch.save wrote")
            root = indices[0].removesuffix("data.pkl")
            if entries[indices[0]].file_size > MAX_INDEX_BYTES:
                raise WeightsRefused(
                    f"{path.name}: an index of {entries[indices[0]].file_size:,} bytes, at most {MAX_INDEX_BYTES:,} are "
                    f"read; NumPy's arrays lie in it, torch's tensors beside it: {AS_TENSORS}"
                )
            if entries.get(f"{root}byteorder") and archive.read(f"{root}byteorder") != b"little":
                raise WeightsRefused(f"{path.name}: big-endian numbers; save it on an ordinary machine")
            index = archive.read(indices[0])
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise WeightsRefused(f"{path.name}: truncated or damaged; not a whole zip file") from error
    is_program = f"{root}constants.pkl" in entries
    value, names = _index(path, io.BytesIO(index))

    def fetch(key: str, count: int) -> bytearray:
        name = f"{root}data/{key}"
        entry = entries.get(name)
        if entry is None or entry.file_size < count:
            held = 0 if entry is None else entry.file_size
            raise WeightsRefused(f"{path.name}: a tensor asks for {count:,} bytes, the file holds {held:,}")
        return _entry_bytes(path, entry)[:count]

    def sources() -> dict[str, str]:
        code = f"{root}code/"
        texts = [entry for name, entry in entries.items() if name.startswith(code) and name.endswith(".py")]
        if sum(entry.file_size for entry in texts) > MAX_INDEX_BYTES:
            raise WeightsRefused(f"{path.name}: a program of more than {MAX_INDEX_BYTES:,} bytes; forged")
        with zipfile.ZipFile(path) as archive:
            return {
                entry.filename[len(code) : -len(".py")].replace("/", "."): archive.read(entry).decode(
                    errors="replace"
                )
                for entry in texts
            }

    return TorchFile(
        path, "TorchScript zip" if is_program else "PyTorch zip", value, names, fetch, is_program, sources
    )


def _entry_bytes(path: Path, entry: zipfile.ZipInfo) -> bytearray:
    """A stored entry's content, read without parsing the archive once more for every tensor."""
    with path.open("rb") as file:
        file.seek(entry.header_offset + 26)  # lengths of name and extra field, in the local header
        name_bytes, extra_bytes = struct.unpack("<HH", file.read(4).ljust(4, b"\0"))
        file.seek(name_bytes + extra_bytes, io.SEEK_CUR)
        data = bytearray(file.read(entry.file_size))
    if len(data) != entry.file_size or zlib.crc32(data) != entry.CRC:
        raise WeightsRefused(
            f"{path.name}: damaged; the checksum of {ascii(entry.filename)[:80]} does not hold"
        )
    return data


def _check_entries(path: Path, entries: list[zipfile.ZipInfo], size: int) -> None:
    if len(entries) > MAX_ZIP_ENTRIES or len({entry.filename for entry in entries}) != len(entries):
        raise WeightsRefused(f"{path.name}: too many or repeated entries; forged")
    # torch.save stores without compressing; a compressed entry can claim far more than the file holds.
    if any(
        entry.compress_type != zipfile.ZIP_STORED and not entry.filename.endswith((".py", ".debug_pkl"))
        for entry in entries
    ) or (sum(entry.compress_size for entry in entries) > size):
        raise WeightsRefused(f"{path.name}: its entries claim more than the file holds; not from torch.save")


def open_legacy(path: Path) -> TorchFile:
    """The format before torch 1.6: five pickles, then the storages; raises WeightsRefused."""
    size = path.stat().st_size
    with path.open("rb") as file:
        stream = io.BytesIO(file.read(MAX_INDEX_BYTES))
    try:
        # The first pickle is a number. Of any other file the start is enough, however much follows.
        magic, _ = read_pickle(io.BytesIO(stream.getvalue()[:MAGIC_BYTES]))
    except PickleDamaged:
        magic = None
    if magic != LEGACY_MAGIC:
        raise WeightsRefused(
            f"{path.name}: a pickle, but not one that torch.save wrote; nothing of it was run. Where it holds NumPy's "
            f"arrays: {AS_TENSORS}"
        )
    _magic, _ = _index(path, stream)
    _protocol, _ = _index(path, stream)
    _system, _ = _index(path, stream)
    value, names = _index(path, stream)
    keys, _ = _index(path, stream)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise WeightsRefused(f"{path.name}: truncated or damaged; no list of storages")
    places = _places(path, keys, stream.tell(), size, _item_sizes(value))

    def fetch(key: str, count: int) -> bytearray:
        start, held = places.get(key, (0, 0))
        if held < count:
            raise WeightsRefused(f"{path.name}: a tensor asks for {count:,} bytes, the file holds {held:,}")
        with path.open("rb") as file:
            file.seek(start)
            data = bytearray(file.read(count))
        if len(data) != count:
            raise WeightsRefused(f"{path.name}: truncated in its numbers")
        return data

    return TorchFile(path, "PyTorch pickle (before 1.6)", value, names, fetch)


def _places(
    path: Path, keys: list[str], start: int, size: int, item_sizes: dict[str, int]
) -> dict[str, tuple[int, int]]:
    """Where each storage's bytes begin, and how many they are."""
    places: dict[str, tuple[int, int]] = {}
    with path.open("rb") as file:
        for key in keys:
            file.seek(start)
            count = struct.unpack("<q", file.read(8).ljust(8, b"\xff"))[0]
            held = count * item_sizes.get(key, 0)
            if count < 0 or key not in item_sizes or start + 8 + held > size:
                raise WeightsRefused(f"{path.name}: truncated or damaged; its numbers end too early")
            places[key] = (start + 8, held)
            start += 8 + held
    return places


def _item_sizes(value: Any) -> dict[str, int]:
    """Bytes per element of every storage that the value names."""
    sizes: dict[str, int] = {}
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if not isinstance(each, dict | list | tuple | Thing | Persistent) or id(each) in seen:
            continue
        seen.add(id(each))
        match each:
            case dict():
                waiting += each.values()
            case list() | tuple():
                waiting += each
            case Thing():
                waiting += [each.arguments, each.state, each.items, each.members]
            case Persistent():
                try:
                    kind, key, _ = _storage_of(each)
                    sizes[key] = DTYPES[kind.name].itemsize
                except (TypeError, ValueError, KeyError):
                    continue
    return sizes


def _index(path: Path, stream: BinaryIO) -> tuple[Any, frozenset[Name]]:
    try:
        return read_pickle(stream)
    except PickleDamaged as error:
        raise WeightsRefused(f"{path.name}: truncated or damaged: {error}") from error
