"""The first precision whose answers hold."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from app.engines.precision import RefusedPrecision, choose_precision
from app.errors import SelfTestFailed


class Bench:
    """Builds words, and knows what is still there."""

    def __init__(self, *, bad: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        self.bad = bad
        self.built: list[str] = []
        self.there: set[str] = set()

    def build(self, precision: str) -> str:
        assert not self.there, "two at a time need twice the memory"
        self.built.append(precision)
        if precision.startswith("unsound"):
            raise SelfTestFailed(f"the evidence of {precision} misses the logits")
        self.there.add(precision)
        return precision

    def candidates(self, *precisions: str) -> Iterator[tuple[str, Callable[[], str]]]:
        for precision in precisions:
            yield precision, partial(self.build, precision)

    def judge(self, built: str) -> str | None:
        if built == "broken":
            raise ArithmeticError
        return f"{built} is off by 0.2" if built in self.bad else None

    def discard(self, built: str) -> None:
        self.there.remove(built)


def test_fastest_that_holds_is_taken_and_no_slower_one_is_built() -> None:
    bench = Bench()

    chosen = choose_precision(bench.candidates("bfloat16", "float32"), bench.judge, bench.discard)

    assert (chosen.built, chosen.precision, chosen.fault, chosen.refused) == (
        "bfloat16",
        "bfloat16",
        None,
        (),
    )
    assert bench.built == ["bfloat16"]


def test_what_does_not_hold_is_let_go_and_told() -> None:
    bench = Bench(bad={"int8", "bfloat16"})

    chosen = choose_precision(bench.candidates("int8", "bfloat16", "float32"), bench.judge, bench.discard)

    assert chosen.precision == "float32"
    assert chosen.refused == (
        RefusedPrecision("int8", "int8 is off by 0.2"),
        RefusedPrecision("bfloat16", "bfloat16 is off by 0.2"),
    )
    assert bench.there == {"float32"}


def test_where_none_holds_the_last_comes_with_its_fault() -> None:
    """For whoever wants to look at it; it may not serve."""
    bench = Bench(bad={"bfloat16", "float32"})

    chosen = choose_precision(bench.candidates("bfloat16", "float32"), bench.judge, bench.discard)

    assert (chosen.precision, chosen.fault) == ("float32", "float32 is off by 0.2")
    assert bench.there == {"float32"}


def test_nothing_is_leaked_when_judging_fails() -> None:
    bench = Bench()

    with pytest.raises(ArithmeticError):
        choose_precision(bench.candidates("broken", "float32"), bench.judge, bench.discard)

    assert bench.there == set()


def test_one_that_fails_its_self_test_while_it_is_built_leaves_the_next_to_serve() -> None:
    """The sum rule in bfloat16 is looked at before the golden images; float32 may keep it."""
    bench = Bench()

    chosen = choose_precision(bench.candidates("unsound", "float32"), bench.judge, bench.discard)

    assert (chosen.precision, chosen.fault) == ("float32", None)
    assert chosen.refused == (RefusedPrecision("unsound", "the evidence of unsound misses the logits"),)
    assert bench.there == {"float32"}


def test_where_the_last_fails_its_self_test_that_is_the_reason() -> None:
    bench = Bench(bad={"bfloat16"})

    with pytest.raises(SelfTestFailed, match="evidence of unsound float32"):
        choose_precision(bench.candidates("bfloat16", "unsound float32"), bench.judge, bench.discard)

    assert bench.there == set()


def test_no_precision_at_all_is_our_bug() -> None:
    bench = Bench()

    with pytest.raises(ValueError, match="no precision"):
        choose_precision(bench.candidates(), bench.judge, bench.discard)
