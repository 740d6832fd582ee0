"""Which pictures stand in one batch.

indices, sizes, groups, seed, epoch -> batches of indices, the same on every machine

Every picture stands in exactly one batch of the epoch. None is alone in its batch, which would have no variance:
batch norms refuse it.
"""

import numpy as np
from numpy.typing import NDArray


def batches_of(
    which: NDArray[np.int64],
    batch_size: int,
    *,
    groups: NDArray[np.int64] | None = None,
    seed: int,
    epoch: int,
) -> list[NDArray[np.int64]]:
    """The epoch's order, in batches of nearly equal size, of `batch_size` at most; of one more where a picture was left over.

    With groups (N,) the pictures of one stand together, and a batch holds as many whole groups as fit. No group
    may have more than `batch_size` pictures.
    """
    chance = np.random.default_rng([seed, epoch, 0])
    if groups is None:
        order = chance.permutation(which)
        # Of an odd number in pairs, three stand together.
        count = max(1, min(-(-len(order) // batch_size), len(order) // 2))
        return np.array_split(order, count)
    batches: list[list[int]] = []
    for group in chance.permutation(np.unique(groups[which])):
        members = which[groups[which] == group].tolist()
        if batches and len(batches[-1]) + len(members) <= batch_size:
            batches[-1] += members
        else:
            batches.append(members)
    return [np.array(batch, np.int64) for batch in _nobody_alone(batches)]


def _nobody_alone(batches: list[list[int]]) -> list[list[int]]:
    """Who is alone in a batch joins the smallest other one, another's that is alone first; so none takes in two."""
    batches = list(batches)
    while (
        len(batches) > 1 and (alone := next((each for each in batches if len(each) == 1), None)) is not None
    ):
        batches.remove(alone)
        smallest = min(range(len(batches)), key=lambda at: len(batches[at]))
        batches[smallest] = batches[smallest] + alone
    return batches
