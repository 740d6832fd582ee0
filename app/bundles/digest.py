"""One name for exactly these weights under exactly this manifest.

model.toml as bytes + weight file -> "sha256:..."; every reply carries it.
"""

import hashlib
import os
from pathlib import Path

from app.errors import WeightsRefused

CHUNK_BYTES = 1024 * 1024


def bundle_digest(manifest: bytes, weights: Path) -> str:
    """SHA-256 over both; the weights are streamed, at about 1 GB/s.

    Each part is preceded by its length (8 bytes, big-endian), so that no byte can move from one
    part to the other under the same digest. A comment changed in the manifest changes it too: what
    the digest stands for is what people can read, not what we made of it.
    """
    digest = hashlib.sha256()
    digest.update(len(manifest).to_bytes(8, "big"))
    digest.update(manifest)
    try:
        with weights.open("rb") as file:
            left = os.fstat(file.fileno()).st_size
            digest.update(left.to_bytes(8, "big"))
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                left -= len(chunk)
    except OSError as error:
        raise WeightsRefused(f"`{weights.name}` cannot be read: {error.strerror}") from error
    if left != 0:
        raise WeightsRefused(f"`{weights.name}` changed while it was read")
    return f"sha256:{digest.hexdigest()}"
