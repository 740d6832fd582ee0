"""Promises of the importer for bad input: refused in seconds, nothing run, nothing written, memory bounded."""

import io
import os
import pickle
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from support.foreign import do_import, refusal
from support.pictures import picture_file

SECONDS = 20.0
"""A shared machine is slow; what is refused takes milliseconds on a quiet one."""
MEMORY_MIB = 600.0


class Touch:
    """Pickled, it asks whoever loads it to create a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.open, (str(self.marker), os.O_CREAT)


def bare_pickle(path: Path, marker: Path) -> None:
    path.write_bytes(pickle.dumps(Touch(marker)))


def torch_zip(path: Path, marker: Path) -> None:
    torch.save({"state_dict": {"conv1.weight": torch.ones(2)}, "args": Touch(marker)}, path)


def torch_legacy(path: Path, marker: Path) -> None:
    torch.save({"w": torch.ones(2), "x": Touch(marker)}, path, _use_new_zipfile_serialization=False)


def stack_global(path: Path, marker: Path) -> None:
    torch.save({"x": Touch(marker)}, path, pickle_protocol=4)


def jpeg(path: Path, _: Path) -> None:
    path.write_bytes(picture_file(0))


def web_page(path: Path, _: Path) -> None:
    path.write_bytes(b"<!DOCTYPE html><title>404</title>")


def empty(path: Path, _: Path) -> None:
    path.write_bytes(b"")


def bomb(path: Path, _: Path) -> None:
    """2 GB of zeros in 2 MB."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a/data.pkl", "w") as entry,
    ):
        for _block in range(512):
            entry.write(bytes(2**20))


def forged_sizes(path: Path, _: Path) -> None:
    """An entry that claims a terabyte."""
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(64)}, buffer)
    data = bytearray(buffer.getvalue())
    end = data.rfind(b"PK\x01\x02")
    data[end + 20 : end + 28] = struct.pack("<II", 0xFFFFFFFE, 0xFFFFFFFE)
    path.write_bytes(data)


def long_header(path: Path, _: Path) -> None:
    """A safetensors header of 2 GB."""
    path.write_bytes(struct.pack("<Q", 2 * 2**30) + b"{" + b" " * 1000)


def torch_pickle(state: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", state)
        archive.writestr("a/data/0", bytes(64))
    return buffer.getvalue()


def tensor_record(shape: str, stride: str, count: str) -> bytes:
    storage = f"(Vstorage\nctorch\nFloatStorage\nV0\nVcpu\n{count}tQ"
    return f"(dVw\nctorch._utils\n_rebuild_tensor_v2\n({storage}I0\n{shape}{stride}I00\nNtRs.".encode()


def hundred_gigabytes(path: Path, _: Path) -> None:
    path.write_bytes(torch_pickle(tensor_record("(I25000000000\nt", "(I1\nt", "I25000000000\n")))


def one_number_for_ever(path: Path, _: Path) -> None:
    path.write_bytes(torch_pickle(tensor_record("(I25000000000\nt", "(I0\nt", "I16\n")))


def endless_opcodes(path: Path, _: Path) -> None:
    path.write_bytes(torch_pickle(b"\x80\x02" + b"]" * (8 * 2**20) + b"."))


def deep_tuples(path: Path, _: Path) -> None:
    path.write_bytes(torch_pickle(b"\x80\x02})" + b"\x85" * 10**6 + b"K\x01s."))


def huge_memo(path: Path, _: Path) -> None:
    path.write_bytes(torch_pickle(b"\x80\x02}r\xff\xff\xff\x7f."))


HOSTILE = [
    bare_pickle,
    torch_zip,
    torch_legacy,
    stack_global,
    jpeg,
    web_page,
    empty,
    bomb,
    forged_sizes,
    long_header,
    hundred_gigabytes,
    one_number_for_ever,
    endless_opcodes,
    deep_tuples,
    huge_memo,
]


@pytest.mark.parametrize("forge", HOSTILE)
def test_a_hostile_file_is_refused_quickly_and_leaves_nothing(
    forge: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    marker, path = tmp_path / "marker", tmp_path / "best.pth"
    forge(path, marker)
    process = psutil.Process()
    before, started = process.memory_info().rss, time.monotonic()

    words = refusal(path, tmp_path / "models" / "line")

    assert time.monotonic() - started < SECONDS
    assert (process.memory_info().rss - before) / 2**20 < MEMORY_MIB
    assert not marker.exists()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["best.pth"]
    assert words.startswith("best.pth: ")


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("is_zip", [True, False])
def test_a_truncated_file_is_refused(*, is_zip: bool, share: float, tmp_path: Path) -> None:
    path = tmp_path / "best.pth"
    state = {"conv1.weight": torch.ones(64, 3, 7, 7), "fc.weight": torch.ones(3, 64)}
    torch.save(state, path, _use_new_zipfile_serialization=is_zip)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])

    refusal(path, tmp_path / "models" / "line")


def test_a_flipped_byte_never_raises_anything_else(tmp_path: Path) -> None:
    path = tmp_path / "best.pth"
    torch.save({"state_dict": {"conv1.weight": torch.ones(8, 3, 3, 3)}, "epoch": 3}, path)
    whole = path.read_bytes()
    for position in range(0, len(whole), max(1, len(whole) // 200)):
        broken = bytearray(whole)
        broken[position] ^= 0xFF
        path.write_bytes(broken)

        assert do_import(path, tmp_path / "line", is_dry_run=True).status in {"refused", "question"}


def test_the_hostile_pickles_are_real(tmp_path: Path) -> None:
    """Loaded as Python does, the marker appears; else the tests above would prove nothing."""
    marker = tmp_path / "marker"
    torch_zip(tmp_path / "best.pth", marker)

    torch.load(tmp_path / "best.pth", weights_only=False)

    assert marker.exists()


def test_tensors_of_another_kind_are_refused_with_the_line_that_mends_them(tmp_path: Path) -> None:
    """Each is a state dict already: to save the state dict would change nothing."""
    path = tmp_path / "best.pth"
    state = {"conv1.weight": torch.ones(64, 3, 7, 7), "fc.weight": torch.ones(3, 512)}
    kinds = {
        "v.float()": {name: tensor.to(torch.float8_e4m3fn) for name, tensor in state.items()},
        "v.to_dense()": {name: tensor.to_sparse() for name, tensor in state.items()},
    }
    for words, content in kinds.items():
        torch.save(content, path)

        assert words in refusal(path, tmp_path / "line")


@pytest.mark.parametrize("is_torchs", [True, False])
def test_arrays_of_numpy_are_called_so_and_not_forged(*, is_torchs: bool, tmp_path: Path) -> None:
    path = tmp_path / "best.pth"
    arrays = {"layer": torch.zeros(9 * 2**20).numpy()}
    if is_torchs:
        torch.save(arrays, path)
    else:
        path.write_bytes(pickle.dumps(arrays))

    words = refusal(path, tmp_path / "line")

    assert "torch.from_numpy(v)" in words
    assert "forged" not in words
    assert "damaged" not in words
