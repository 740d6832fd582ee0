"""A weight file -> the tensors in it, read as data.

path -> sniff the first bytes -> safetensors, or a PyTorch state dict (zip or the older pickle)
     -> {name: tensor} on the CPU

Nothing in a file is executed. Safetensors holds only numbers. A PyTorch file is a pickle, a little
program: before torch's weights-only reader sees it, every import that it names is checked against
the few that a state dict needs, and sizes are checked against the file's own, so that a hostile file is
refused by name, quickly, and without the memory it asks for. Only plain state dicts are read here;
what else a training script may have saved is named, together with the line that mends it.

Knows nothing of architectures: whether the tensors fit is for app.nets to say.
"""

import io
import pickletools
import stat
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, Final

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from app.errors import WeightsRefused

MAX_BYTES: Final = 4 * 2**30
"""The largest network we know by name holds 0.5 GB in float32."""
MAX_HEADER_BYTES: Final = 32 * 2**20
"""Names and shapes only; ResNet-152 needs 100 kB."""
MAX_ZIP_ENTRIES: Final = 65_536
LEGACY_PICKLES: Final = 5
"""The older format: magic number, protocol, system, the object, storage names; then raw numbers."""

MINIMUM_TORCH: Final = (2, 10)
"""Earlier weights-only readers can be made to run code (CVE-2025-32434, CVE-2026-24747)."""

RESAVE: Final = 'torch.save(model.state_dict(), "weights.pth")'

STATE_DICT_IMPORTS: Final = frozenset(
    {
        "collections OrderedDict",
        "torch Size",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
        "torch.storage UntypedStorage",
        "torch.storage TypedStorage",
        *(
            f"torch {kind}Storage"
            for kind in (
                "Half",
                "BFloat16",
                "Float",
                "Double",
                "Byte",
                "Char",
                "Short",
                "Int",
                "Long",
                "Bool",
            )
        ),
    }
)
"""All that a state dict of plain tensors names; none of it does anything but hold numbers."""

DICTIONARY_KEYS: Final = (
    "state_dict_ema",
    "model_ema",
    "state_dict",
    "model",
    "ema",
    "net",
    "model_state_dict",
    "weights",
)
"""Under which training scripts keep the weights beside optimiser, epoch and the rest."""

FOREIGN: Final = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, probably Keras weights; convert it first"),
    (b"version https://git-lfs", "a Git LFS pointer, not the weights; fetch them with `git lfs pull`"),
    (b"<", "a web page or XML, probably a failed download"),
)


def read_weights(path: Path, *, max_bytes: int = MAX_BYTES) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` file or a PyTorch state dict, by content, whatever its suffix.

    The tensors may be windows on the file: copy what is kept (`load_servable` does).

    Raises:
        WeightsRefused: unreadable, too large, damaged, unsafe, or no plain state dict. Messages hold the
            file's name, never its folder.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise WeightsRefused(f"{path.name}: not a file")
        if status.st_size > max_bytes:
            raise WeightsRefused(f"{path.name}: {status.st_size:,} bytes; at most {max_bytes:,} are read")
        with path.open("rb") as file:
            start = file.read(32)
    except OSError as error:
        raise WeightsRefused(f"{path.name}: cannot be read ({error.strerror})") from error
    if start[8:9] == b"{":
        return _read_safetensors(path, status.st_size, start)
    if start.startswith(b"PK\x03\x04"):
        return _read_zip(path, status.st_size)
    if start.startswith(b"\x80"):
        return _read_legacy(path)
    for magic, words in FOREIGN:
        if start.startswith(magic):
            raise WeightsRefused(f"{path.name}: {words}")
    if not start.strip(b"\x00"):
        raise WeightsRefused(f"{path.name}: empty, or nothing but zeros at its start")
    raise WeightsRefused(f"{path.name}: neither safetensors nor a PyTorch state dict")


def read_metadata(path: Path) -> Mapping[str, str]:
    """What a `.safetensors` file that `read_weights` took says beside its tensors."""
    with safetensors.safe_open(path, "pt") as file:
        return file.metadata() or {}


def _read_safetensors(path: Path, size: int, start: bytes) -> dict[str, Tensor]:
    header_bytes = int.from_bytes(start[:8], "little")
    if header_bytes > min(size - 8, MAX_HEADER_BYTES):
        raise WeightsRefused(
            f"{path.name}: its safetensors header claims {header_bytes:,} bytes, the file has {size:,}; "
            "truncated or forged"
        )
    try:
        tensors = safetensors.torch.load_file(path, device="cpu")
    except Exception as error:  # SafetensorError, and KeyError or ValueError for odd types
        raise WeightsRefused(f"{path.name}: damaged safetensors ({_reason(error, path)})") from error
    return _plain(tensors, path)


def _read_zip(path: Path, size: int) -> dict[str, Tensor]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_entries(entries, path, size)
            pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise WeightsRefused(f"{path.name}: a zip file, but not one that torch.save wrote")
            if pickles[0].file_size > MAX_HEADER_BYTES:
                raise WeightsRefused(f"{path.name}: its index has {pickles[0].file_size:,} bytes; forged")
            index = io.BytesIO(archive.read(pickles[0]))
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise WeightsRefused(f"{path.name}: truncated or damaged ({_reason(error, path)})") from error
    _check_imports([_pickle_imports(index, path)], path)
    return _load(path)


def _check_entries(entries: list[zipfile.ZipInfo], path: Path, size: int) -> None:
    names = [entry.filename for entry in entries]
    if len(entries) > MAX_ZIP_ENTRIES or len(set(names)) != len(names):
        raise WeightsRefused(f"{path.name}: too many or repeated entries; forged")
    if any(name.endswith(("/constants.pkl", "/model.json")) or "/code/" in name for name in names):
        raise WeightsRefused(
            f"{path.name}: a TorchScript program, not weights; re-save the model in training form: {RESAVE}"
        )
    # torch.save stores without compressing; a compressed entry can claim far more than the file holds.
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or (
        sum(entry.file_size for entry in entries) > size
    ):
        raise WeightsRefused(f"{path.name}: its entries claim more than the file holds; not from torch.save")


def _read_legacy(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as file:
        start = io.BytesIO(file.read(MAX_HEADER_BYTES))
    _check_imports((_pickle_imports(start, path) for _ in range(LEGACY_PICKLES)), path)
    return _load(path)


def _pickle_imports(stream: BinaryIO, path: Path) -> list[str]:
    """What one pickle would import, as 'module name', read without running it; the stream stands after it."""
    imports: list[str] = []
    strings: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name in {"GLOBAL", "INST"}:
                imports.append(str(argument))
            elif opcode.name == "STACK_GLOBAL":
                # Its names come from the stack, perhaps through the memo; torch.save writes GLOBAL.
                imports.append(" ".join(strings[-2:]))
            elif opcode.name in {"EXT1", "EXT2", "EXT4"}:
                imports.append("copyreg extension")
            elif isinstance(argument, str):
                strings.append(argument)
    except (ValueError, EOFError, OverflowError, MemoryError, RecursionError) as error:
        if imports and _unknown(imports):
            return imports
        raise WeightsRefused(f"{path.name}: truncated or damaged; it ends inside its index") from error
    return imports


def _unknown(imports: list[str]) -> list[str]:
    return sorted(set(imports) - STATE_DICT_IMPORTS)


def _check_imports(pickles: Iterable[list[str]], path: Path) -> None:
    """Refuses what names more than a state dict does, and says what it probably is."""
    for imports in pickles:
        unknown = _unknown(imports)
        if not unknown:
            continue
        shown = ", ".join(ascii(name.replace(" ", "."))[1:-1][:80] for name in unknown[:5])
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        is_module = any(name.startswith(("torch.nn.", "torchvision.models")) for name in unknown)
        what = "a whole pickled module" if is_module else "Python objects, which run code when loaded"
        raise WeightsRefused(
            f"{path.name}: not a plain state dict but {what}: its index names {shown}{more}. Nothing of it was run. "
            f"Where it was made, re-save the weights: {RESAVE}"
        )


def _load(path: Path) -> dict[str, Tensor]:
    _require_safe_reader()
    try:
        # An open file, not its path: given a path, torch decides by the suffix what to expect.
        with path.open("rb") as file:
            loaded = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a forged index reaches almost any of torch's own errors
        raise WeightsRefused(f"{path.name}: truncated or damaged ({_reason(error, path)})") from error
    return _plain(loaded, path)


def _require_safe_reader() -> None:
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < MINIMUM_TORCH:
        raise WeightsRefused(
            f"PyTorch files need torch 2.10 or later, this is {torch.__version__}: earlier readers can be "
            "made to run code. Update torch, or convert the weights to safetensors"
        )


def _plain(loaded: object, path: Path) -> dict[str, Tensor]:
    """The state dict, once it is certain to be one."""
    if isinstance(loaded, Tensor):
        raise WeightsRefused(f"{path.name}: a single tensor without a name; save the state dict: {RESAVE}")
    if not isinstance(loaded, Mapping):
        raise WeightsRefused(f"{path.name}: a {type(loaded).__name__}, not a state dict; save one: {RESAVE}")
    if not loaded:
        raise WeightsRefused(f"{path.name}: an empty state dict")
    within = [key for key in DICTIONARY_KEYS if isinstance(loaded.get(key), Mapping)]
    if within:
        raise WeightsRefused(
            f"{path.name}: a training dictionary with the weights under {within[0]!r}; "
            f"import it, or re-save the weights alone: {RESAVE}"
        )
    others = sorted(ascii(key)[:60] for key, value in loaded.items() if not isinstance(value, Tensor))
    if others or not all(isinstance(key, str) for key in loaded):
        raise WeightsRefused(
            f"{path.name}: not a plain state dict; no named tensors: {', '.join(others[:5]) or 'its keys'}. "
            f"Re-save the weights alone: {RESAVE}"
        )
    tensors = {name: tensor.detach() for name, tensor in loaded.items()}
    for name, tensor in tensors.items():
        # A stride of zero makes terabytes of one number, which any copy would then write out.
        held = tensor.untyped_storage().nbytes() if tensor.layout == torch.strided else 0
        if tensor.is_meta or tensor.numel() * tensor.element_size() > held:
            raise WeightsRefused(f"{path.name}: {ascii(name)[:80]} claims more numbers than the file holds")
    return tensors


def _reason(error: Exception, path: Path) -> str:
    """The first line of a library's complaint, without folders of this machine."""
    lines = str(error).strip().splitlines()
    first = lines[0] if lines else type(error).__name__
    return first.replace(str(path), path.name).replace(str(path.parent), "")[:200]
