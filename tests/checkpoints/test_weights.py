"""Promises of reading weight files: numbers come out, nothing runs, refusals are quick and say why."""

import argparse
import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from app.checkpoints import weights
from app.checkpoints.weights import read_weights
from app.errors import WeightsRefused

RESAVE = 'torch.save(model.state_dict(), "weights.pth")'


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2).half())


def save_safetensors(state: dict[str, Tensor], path: Path) -> None:
    safetensors.torch.save_file(dict(state), path)


def save_legacy(state: object, path: Path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False)


SAVERS: list[Callable[..., None]] = [save_safetensors, torch.save, save_legacy]


def refusal(path: Path) -> str:
    """The refusal's words; they hold no folder of this machine."""
    with pytest.raises(WeightsRefused) as caught:
        read_weights(path)
    assert str(path.parent) not in caught.value.message
    assert path.name in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("save", SAVERS)
@pytest.mark.parametrize("suffix", ["safetensors", "pth", "jpg"])
def test_what_was_saved_is_read_whatever_its_suffix(
    save: Callable[..., None], suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"weights.{suffix}"
    state = network().state_dict()
    save(state, path)

    found = read_weights(path)

    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())
    assert all(not tensor.requires_grad for tensor in found.values())


@pytest.mark.parametrize("save", [torch.save, save_legacy])
def test_parameters_instead_of_tensors_are_read(save: Callable[..., None], tmp_path: Path) -> None:
    save(OrderedDict(network().named_parameters()), tmp_path / "w.pth")

    assert "0.weight" in read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("save", SAVERS)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(save: Callable[..., None], share: float, tmp_path: Path) -> None:
    path = tmp_path / "w.bin"
    save(network().state_dict(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])

    refusal(path)


@pytest.mark.parametrize("save", SAVERS)
def test_a_flipped_byte_is_refused_or_read_but_never_raises_otherwise(
    save: Callable[..., None], tmp_path: Path
) -> None:
    path = tmp_path / "w.bin"
    save(network().state_dict(), path)
    whole = path.read_bytes()
    for position in range(0, len(whole), max(1, len(whole) // 150)):
        broken = bytearray(whole)
        broken[position] ^= 0xFF
        path.write_bytes(broken)
        try:
            read_weights(path)
        except WeightsRefused:
            continue


class Touches:
    """A pickle that creates a file when it is loaded carelessly."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("save", [torch.save, save_legacy])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_hostile_pickle_is_named_and_not_run(
    save: Callable[..., None], protocol: int, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    path = tmp_path / "w.pth"
    state = {"fc.weight": torch.zeros(2), "fc.bias": Touches(marker)}
    if save is torch.save:
        torch.save(state, path, pickle_protocol=protocol)
    else:
        torch.save(state, path, pickle_protocol=protocol, _use_new_zipfile_serialization=False)

    message = refusal(path)

    assert "pathlib" in message
    assert RESAVE in message
    assert not marker.exists()


def test_a_bare_hostile_pickle_is_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    path = tmp_path / "w.pth"
    path.write_bytes(pickle.dumps(Touches(marker)))

    assert "Nothing of it was run" in refusal(path)
    assert not marker.exists()


def test_a_hostile_pickle_behind_a_harmless_one_is_not_run(tmp_path: Path) -> None:
    """The older format is five pickles in a row."""
    marker = tmp_path / "marker"
    path = tmp_path / "w.pth"
    save_legacy({"a": torch.zeros(1)}, path)
    whole = path.read_bytes()
    first = len(pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2))
    path.write_bytes(whole[:first] + pickle.dumps(Touches(marker), protocol=2) + whole[first:])

    refusal(path)

    assert not marker.exists()


@pytest.mark.parametrize("save", [torch.save, save_legacy])
def test_a_whole_pickled_module_is_named_with_the_line_that_mends_it(
    save: Callable[..., None], tmp_path: Path
) -> None:
    save(network(), tmp_path / "w.pth")

    message = refusal(tmp_path / "w.pth")

    assert "a whole pickled module" in message
    assert "torch.nn.modules" in message
    assert RESAVE in message


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
def test_a_training_dictionary_is_named(key: str, tmp_path: Path) -> None:
    torch.save({"epoch": 3, key: network().state_dict()}, tmp_path / "w.pth")

    message = refusal(tmp_path / "w.pth")

    assert f"a training dictionary with the weights under '{key}'" in message
    assert RESAVE in message


@pytest.mark.parametrize(
    ("saved", "words"),
    [
        ({"state_dict": {}, "args": argparse.Namespace(lr=1)}, "argparse.Namespace"),
        ({"fc.weight": torch.zeros(2), "epoch": 3}, "no named tensors: 'epoch'"),
        ([torch.zeros(2)], "a list, not a state dict"),
        (torch.zeros(2), "a single tensor"),
        ({}, "an empty state dict"),
        ({1: torch.zeros(2)}, "not a plain state dict"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_state_dict_is_said_to_be_what_it_is(saved: object, words: str, tmp_path: Path) -> None:
    torch.save(saved, tmp_path / "w.pth")

    assert words in refusal(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 64, "Keras"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>404</html>", "failed download"),
        (b"\xff\xd8\xff\xe0 a photograph, surely not weights", "neither safetensors nor"),
        (struct.pack("<Q", 2**31) + b'{"a":' + b" " * 99, "claims 2,147,483,648 bytes"),
        (struct.pack("<Q", 2**63) + b'{"a":' + b" " * 99, "truncated or forged"),
        (b"\x80\x02X\xff\xff\xff\x7f", "truncated or damaged"),
        (b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f", "truncated or damaged"),
        (b"\x80\x02]q\x00.", "truncated or damaged"),
        (b"PK\x03\x04" + b"\0" * 60, "truncated or damaged"),
    ],
)
def test_other_bytes_are_refused_with_their_nature(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content)

    assert words in refusal(tmp_path / "w.pth")


@pytest.mark.parametrize("shape", [[2**20, 2**20], [4, 4], [-1, 4], [2**40, 2**40]])
def test_safetensors_whose_shapes_exceed_the_file_are_refused(shape: list[int], tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 16]}}).encode()
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 16)

    assert "damaged safetensors" in refusal(tmp_path / "w.safetensors")


def test_one_number_stretched_to_a_terabyte_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1).expand(2**19, 2**19)}, tmp_path / "w.pth")

    assert "claims more numbers than the file holds" in refusal(tmp_path / "w.pth")


def test_a_tensor_without_numbers_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.empty(2**19, 2**19, device="meta")}, tmp_path / "w.pth")

    refusal(tmp_path / "w.pth")


def test_a_compressed_archive_that_swells_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}, protocol=2))
        archive.writestr("a/data/0", b"\0" * 10_000_000)

    assert "claim more than the file holds" in refusal(tmp_path / "w.pth")


def test_another_zip_and_a_torchscript_program_are_told_apart(tmp_path: Path) -> None:
    for name, entry, words in [
        ("other.zip", "readme.txt", "not one that torch.save wrote"),
        ("script.pt", "model/code/__torch__.py", "TorchScript"),
    ]:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(entry, "x")

        assert words in refusal(tmp_path / name)


def test_too_large_a_file_is_refused_before_reading(tmp_path: Path) -> None:
    save_safetensors(network().state_dict(), tmp_path / "w.safetensors")

    with pytest.raises(WeightsRefused, match="at most 100 are read"):
        read_weights(tmp_path / "w.safetensors", max_bytes=100)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.pth").mkdir()

    assert "not a file" in refusal(tmp_path / "folder.pth")
    assert "No such file" in refusal(tmp_path / "gone.pth")


def test_an_older_torch_reads_no_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(network().state_dict(), tmp_path / "w.pth")
    monkeypatch.setattr(weights, "MINIMUM_TORCH", (99, 0))

    with pytest.raises(WeightsRefused, match=r"need torch 2\.10 or later"):
        read_weights(tmp_path / "w.pth")
