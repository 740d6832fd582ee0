import hashlib
from pathlib import Path

import pytest

from app.bundles.digest import CHUNK_BYTES, bundle_digest
from app.errors import WeightsRefused


def digest(folder: Path, manifest: bytes, weights: bytes) -> str:
    path = folder / "weights.safetensors"
    path.write_bytes(weights)
    return bundle_digest(manifest, path)


def test_the_digest_is_written_down_so_that_others_can_compute_it(tmp_path: Path) -> None:
    framed = b"\0\0\0\0\0\0\0\3abc" + b"\0\0\0\0\0\0\0\2de"

    assert digest(tmp_path, b"abc", b"de") == f"sha256:{hashlib.sha256(framed).hexdigest()}"


def test_no_byte_moves_between_manifest_and_weights_under_one_digest(tmp_path: Path) -> None:
    splits = {digest(tmp_path, b"abcdef"[:cut], b"abcdef"[cut:]) for cut in range(7)}

    assert len(splits) == 7


def test_large_weights_are_streamed_to_the_last_byte(tmp_path: Path) -> None:
    weights = bytes(CHUNK_BYTES + 1)

    assert digest(tmp_path, b"", weights) != digest(tmp_path, b"", weights[:-1] + b"\1")


def test_weights_that_cannot_be_read_are_refused_without_a_path(tmp_path: Path) -> None:
    with pytest.raises(WeightsRefused) as caught:
        bundle_digest(b"", tmp_path / "none.bin")

    assert str(tmp_path) not in caught.value.message
