"""Which pictures stand in one batch.

indices, sizes, groups, seed, epoch -> batches of indices, the same on every machine
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
    """The epoch's order, in batches of nearly equal size: a last one of a single picture would have no variance.

    With groups (N,) the pictures of one stand together, and a batch holds as many whole groups as fit.
    """
    chance = np.random.default_rng([seed, epoch, 0])
    if groups is None:
        order = chance.permutation(which)
        return np.array_split(order, -(-len(order) // batch_size))
    batches: list[list[int]] = []
    for group in chance.permutation(np.unique(groups[which])):
        members = which[groups[which] == group].tolist()
        if batches and len(batches[-1]) + len(members) <= batch_size:
            batches[-1] += members
        else:
            batches.append(members)
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2] += batches.pop()
    return [np.array(batch, np.int64) for batch in batches]
