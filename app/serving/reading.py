"""A request's file to what the network takes of it, on an image thread.

bytes -> decode -> preprocess -> Read; the picture itself is let go of where nobody will draw on it
"""

import time
from dataclasses import dataclass

from app.domain import ImageFacts
from app.images.decode import Picture
from app.images.preprocess import Preprocessed
from app.serving.deployment import Deployment


@dataclass(frozen=True, slots=True)
class Read:
    """One file, read."""

    picture: Picture | None
    """None where it is not kept."""
    image: ImageFacts
    warnings: tuple[str, ...]
    prepared: Preprocessed
    decode_ms: float
    preprocess_ms: float


def read_picture(deployment: Deployment, body: bytes, *, keeps_picture: bool) -> Read:
    """As the deployment's manifest reads pictures; errors as `app.images.decode.decode` and `preprocess`."""
    begun = time.monotonic()
    picture = deployment.decode(body, keeps_picture=keeps_picture)
    decoded = time.monotonic()
    prepared = deployment.preprocess(picture)
    return Read(
        picture if keeps_picture else None,
        ImageFacts(picture.width, picture.height, picture.format),
        picture.warnings,
        prepared,
        decode_ms=(decoded - begun) * 1000,
        preprocess_ms=(time.monotonic() - decoded) * 1000,
    )
