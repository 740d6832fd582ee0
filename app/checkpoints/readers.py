"""The registry of readers: path -> the one that knows these bytes -> Found.

A suffix is never trusted. A new format is a reader in `READERS`: it says by the first bytes (or by the folder's
files) whether a path is its own, and returns `Found`. The first that recognises a path reads it.
"""

import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.checkpoints.convert import converted
from app.checkpoints.dictionaries import classes_in_words
from app.checkpoints.folders import asked_for_version, is_model_folder, read_folder
from app.checkpoints.found import Answers, Found
from app.checkpoints.keras_files import is_keras
from app.checkpoints.keras_found import read_keras_checkpoint
from app.checkpoints.onnx_files import read_onnx
from app.checkpoints.onnx_graph import is_onnx
from app.checkpoints.torch_files import open_legacy, open_zip
from app.checkpoints.unwrap import Raw, unwrap
from app.checkpoints.weights import FOREIGN, MAX_BYTES, read_metadata, read_weights
from app.errors import WeightsRefused

START_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Reader:
    """One family of formats."""

    name: str
    recognises: Callable[[Path, bytes], bool]
    """(path, its first bytes; none for a folder)."""
    read: Callable[[Path, Answers], Found]


def _without_configuration(raw: Raw, file_format: str, answers: Answers) -> Found:
    return asked_for_version(converted(raw, file_format, answers), raw.tensors, answers)


def _read_zip(path: Path, answers: Answers) -> Found:
    file = open_zip(path)
    return _without_configuration(unwrap(file, answers), file.format, answers)


def _read_legacy(path: Path, answers: Answers) -> Found:
    file = open_legacy(path)
    return _without_configuration(unwrap(file, answers), file.format, answers)


def _read_safetensors(path: Path, answers: Answers) -> Found:
    raw = Raw("plain state dict", read_weights(path), classes=classes_in_words(read_metadata(path)))
    return _without_configuration(raw, "safetensors", answers)


def _read_onnx(path: Path, answers: Answers) -> Found:
    raw, answers = read_onnx(path, answers)
    return converted(raw, "ONNX", answers)


READERS: Final = (
    Reader("model folder", lambda path, _: is_model_folder(path), read_folder),
    Reader("safetensors", lambda _, start: start[8:9] == b"{", _read_safetensors),
    Reader("Keras", lambda path, _: is_keras(path), read_keras_checkpoint),
    Reader("PyTorch zip", lambda _, start: start.startswith(b"PK\x03\x04"), _read_zip),
    Reader("PyTorch pickle", lambda _, start: start.startswith(b"\x80"), _read_legacy),
    Reader("ONNX", lambda _, start: is_onnx(start), _read_onnx),
)
"""In this order; readers of other kinds of zip file come before PyTorch's."""

KNOWN_WORDS: Final = (
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
)


def sniff(path: Path) -> Reader:
    """The reader for this path.

    Raises:
        WeightsRefused: there is none; the message says what the bytes look like.
    """
    start = b""
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            with path.open("rb") as file:
                start = file.read(START_BYTES)
            if status.st_size > MAX_BYTES:
                raise WeightsRefused(f"{path.name}: {status.st_size:,} bytes; at most {MAX_BYTES:,} are read")
        elif not path.is_dir():
            raise WeightsRefused(f"{path.name}: neither a file nor a folder")
    except OSError as error:
        raise WeightsRefused(f"{path.name}: cannot be read ({error.strerror})") from error
    for reader in READERS:
        if reader.recognises(path, start):
            return reader
    for magic, words in (*KNOWN_WORDS, *FOREIGN):
        if start.startswith(magic):
            raise WeightsRefused(f"{path.name}: {words}; no weights in it")
    if path.is_dir():
        raise WeightsRefused(f"{path.name}: a folder, but not one with config.json and model.safetensors")
    if not start.strip(b"\x00"):
        raise WeightsRefused(f"{path.name}: empty, or nothing but zeros at its start")
    raise WeightsRefused(
        f"{path.name}: none of the known formats: {', '.join(each.name for each in READERS)}"
    )


def read_checkpoint(path: Path, answers: Answers | None = None) -> Found:
    """What is in this file or folder, read as data.

    Raises:
        WeightsRefused: unreadable, unsafe, or no network that can be served.
        InvalidRequest: an answer that settles nothing in this file.
        ManifestInvalid: the architecture in the answers does not exist.
    """
    reader, answers = sniff(path), answers or Answers()
    try:
        found = reader.read(path, answers)
    except (RuntimeError, LookupError, TypeError, ValueError, ArithmeticError, MemoryError, OSError) as error:
        # Forged shapes and configurations reach almost any of torch's own errors; the cause is chained.
        raise WeightsRefused(
            f"{path.name}: damaged or forged; reading it as {reader.name} ended in {type(error).__name__}"
        ) from error
    if not found.questions:  # behind one, an answer may still be needed
        answers.refuse_unused()
    return found
