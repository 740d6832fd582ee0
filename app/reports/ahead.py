"""Work that is done ahead of time by threads, and batches of the sizes that are warm; in order, in bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from app.engines.base import Engine

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


def ahead(
    pool: Executor, work: Callable[[ItemT], ResultT], items: Iterable[ItemT], count: int
) -> Iterator[tuple[ItemT, ResultT]]:
    """Every item with its result, in order; at most `count` of them are begun and not yet taken."""
    begun: deque[tuple[ItemT, Future[ResultT]]] = deque()
    try:
        for item in items:
            begun.append((item, pool.submit(work, item)))
            if len(begun) == count:
                first, future = begun.popleft()
                yield first, future.result()
        while begun:
            first, future = begun.popleft()
            yield first, future.result()
    finally:
        for _, future in begun:
            future.cancel()


def parts(count: int, sizes: Sequence[int]) -> Iterator[slice]:
    """`count` cut into as few of these sizes as there are; 1 is one of them."""
    begin = 0
    for size in sorted(sizes, reverse=True):
        while count - begin >= size:
            yield slice(begin, begin + size)
            begin += size


def answered(
    engine: Engine, images: Sequence[NDArray[np.uint8]], sizes: Sequence[int]
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Logits (K,) and evidence (K, h', w') of each image (h, w, 3); nothing is padded."""
    rows: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
    for part in parts(len(images), sizes):
        output = engine.run(np.stack(images[part]))
        rows += zip(output.logits, output.evidence, strict=True)
    return rows
