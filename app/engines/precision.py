"""Which precision to compute in: the first of several whose answers hold.

(precision, build), the preferred one first -> [built, judged] -> the first that holds, and why others were refused

Knows neither engines nor golden images; both come as functions.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.errors import SelfTestFailed

BuiltT = TypeVar("BuiltT")


@dataclass(frozen=True, slots=True)
class RefusedPrecision:
    """One that was tried and may not serve."""

    precision: str
    reason: str


@dataclass(frozen=True, slots=True)
class ChosenPrecision(Generic[BuiltT]):
    """What was built, and what was refused before it."""

    built: BuiltT
    precision: str
    fault: str | None
    """Why it does not hold either; only where none did, and this is the last that was tried."""
    refused: tuple[RefusedPrecision, ...]


def choose_precision(
    candidates: Iterable[tuple[str, Callable[[], BuiltT]]],
    judge: Callable[[BuiltT], str | None],
    discard: Callable[[BuiltT], None],
) -> ChosenPrecision[BuiltT]:
    """The first precision that holds; where none does, the last one with its fault, for whoever wants to look at it.

    Args:
        candidates: each with what builds an engine at it; asked for only when those before do not hold. One that fails its
            self-test while it is built does not hold either.
        judge: why what was built may not serve; None where it may.
        discard: lets go of what was built and is not returned, before the next is built.

    Raises:
        SelfTestFailed: the last of them failed it while it was built.
        ValueError: there is no candidate.
    """
    refused: list[RefusedPrecision] = []
    last: ChosenPrecision[BuiltT] | None = None
    failed: SelfTestFailed | None = None
    for precision, build in candidates:
        if last is not None:
            discard(last.built)
            last = None
        try:
            built = build()
        except SelfTestFailed as error:
            failed = error
            refused.append(RefusedPrecision(precision, error.message))
            continue
        try:
            fault = judge(built)
        except BaseException:
            discard(built)
            raise
        last = ChosenPrecision(built, precision, fault, tuple(refused))
        if fault is None:
            return last
        refused.append(RefusedPrecision(precision, fault))
    if last is None:
        raise failed or ValueError("no precision to choose from")
    return last
