"""Pictures that the network cannot tell apart: the same pixels as it takes them, whatever else their files hold.

A camera's burst, a picture saved again with other metadata, a backup in another folder: where one is learnt from and
the other measures, the figures say how well the network knows it by heart.
"""

from collections.abc import Iterable, Sequence

from app.training.folder import SIDES, Side
from app.training.pictures import Read
from app.training.trained import Placed


def common_digests(reads: Sequence[Read]) -> list[str]:
    """(N,): what a picture shares with its copies and with no other, the smallest digest of their files."""
    smallest: dict[str, str] = {}
    for read in reads:
        smallest[read.pixels] = min(smallest.get(read.pixels, read.digest), read.digest)
    return [smallest[read.pixels] for read in reads]


def seen_before(placed: Iterable[Placed], side: Side) -> int:
    """Pictures of this side that stand on an earlier one too: they were learnt from, or chose what is measured."""
    earlier = SIDES[: SIDES.index(side)]
    placed = list(placed)
    seen = {each.pixels for each in placed if each.side in earlier}
    return sum(each.pixels in seen for each in placed if each.side == side)


def warnings_of_copies(placed: Iterable[Placed]) -> list[str]:
    """Each pair that stands on two sides or in two classes, as a sentence."""
    first: dict[str, Placed] = {}
    sentences = []
    for each in placed:
        other = first.setdefault(each.pixels, each)
        if other.file.class_index != each.file.class_index:
            sentences.append(
                f"warning: {other.file.name} and {each.file.name} are the same picture in two classes"
            )
        elif other.side != each.side:
            sentences.append(
                f"warning: {other.file.name} ({other.side}) and {each.file.name} ({each.side}) are the same picture"
            )
    return sentences
