"""The folder's pictures as the network takes them, by the code that serves.

files -> decode, the manifest's geometry (image threads) -> (h, w, 3) uint8, SHA-256 of both, group; or why not

Every file is read once before anything is trained, so that a damaged one stops nothing in epoch 30. What
fits the bound is kept; else pictures are decoded again in every epoch, one batch ahead of the network.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from app.domain import Geometry, Size
from app.errors import RequestError, TrainingRefused
from app.evaluation.groups import GroupOf
from app.images.decode import decode
from app.images.preprocess import preprocess
from app.training.folder import File

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Read:
    """One file after its first reading."""

    file: File
    digest: str = ""
    """SHA-256 of its bytes."""
    pixels: str = ""
    """SHA-256 of what the network takes of it: copies share it, whatever their files hold besides."""
    group: str | None = None
    damage: str | None = None
    """Why it cannot be used; None: it can."""


class Pictures:
    """N pictures of one size, by index.

    Args:
        files: in the order of the indices.
        geometry: the manifest's.
        size: what comes out of it.
        max_pixels: larger pictures count as damaged, as the server refuses them.
        threads: that decode.
        max_cache_bytes: pictures are kept while all of them fit in here.
    """

    def __init__(
        self,
        files: Sequence[File],
        geometry: Geometry,
        size: Size,
        *,
        max_pixels: int,
        threads: int,
        max_cache_bytes: int,
    ) -> None:
        self.files = tuple(files)
        self.size = size
        self._geometry = geometry
        self._max_pixels = max_pixels
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="picture")
        shape = (len(files), size.height, size.width, 3)
        self._kept: Pixels | None = None
        if int(np.prod(shape)) <= max_cache_bytes:
            self._kept = np.zeros(shape, np.uint8)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def read_all(self, group_of: GroupOf | None, tell: Callable[[int], None]) -> list[Read]:
        """Every file once; `tell` hears how many are done."""
        results: list[Read] = []
        for number, read in enumerate(
            self._pool.map(lambda n: self._read(n, group_of), range(len(self.files)))
        ):
            results.append(read)
            tell(number + 1)
        return results

    def batches(self, batches: Iterable[NDArray[np.int64]]) -> Iterator[tuple[NDArray[np.int64], Pixels]]:
        """Indices (B,) with their pictures (B, h, w, 3), in this order, the next batch already on its way.

        Raises:
            TrainingRefused: a file was changed or removed since it was first read.
        """
        if self._kept is not None:
            for indices in batches:
                yield indices, self._kept[indices]
            return
        ahead: tuple[NDArray[np.int64], list[Future[Pixels]]] | None = None
        for indices in batches:
            coming = indices, [self._pool.submit(self._again, int(number)) for number in indices]
            if ahead is not None:
                yield ahead[0], np.stack([future.result() for future in ahead[1]])
            ahead = coming
        if ahead is not None:
            yield ahead[0], np.stack([future.result() for future in ahead[1]])

    def _read(self, number: int, group_of: GroupOf | None) -> Read:
        file = self.files[number]
        try:
            data = file.path.read_bytes()
            pixels = self._pixels(data)
        except RequestError as error:
            return Read(file, damage=error.message)
        except OSError as error:
            return Read(file, damage=f"cannot be read ({error.strerror})")
        if self._kept is not None:
            self._kept[number] = pixels
        return Read(
            file,
            hashlib.sha256(data).hexdigest(),
            hashlib.sha256(pixels.tobytes()).hexdigest(),
            group_of(file.name_in_side, data) if group_of else None,
        )

    def _again(self, number: int) -> Pixels:
        with suppress(RequestError, OSError):
            return self._pixels(self.files[number].path.read_bytes())
        raise TrainingRefused(
            f"{self.files[number].name} could be read before and cannot be now; leave the folder alone while it is trained on"
        )

    def _pixels(self, data: bytes) -> Pixels:
        picture = decode(data, geometry=self._geometry, max_pixels=self._max_pixels, keeps_picture=False)
        return preprocess(picture, self._geometry.steps).pixels
