"""What may make a recommendation wrong is said with it."""

import math
from dataclasses import replace

import pytest
from support.tunings import measured, row

from app.tuning.choosing import Limits, choose
from app.tuning.doubts import FEW_PASSES, doubts
from app.tuning.env_file import env_text
from app.tuning.here import load_of_others
from app.tuning.measured import Measured, Timing

LIMITS = Limits(deadline_s=2.0, max_requests=256, max_queue_bytes=256 * 2**20)


def repeated(
    *wall_s: float, load: float = 0.1, later: float = 0.1, cpu_per_wall: float = 1.0, host_cores: int = 2
) -> Measured:
    """One configuration of one thread whose only size took these times, on two cores."""
    timing = Timing(wall_s, tuple(wall * cpu_per_wall for wall in wall_s))
    given = measured(replace(row(threads=1, seconds={1: 1.0}), timings={1: timing}))
    many = Timing((0.001,) * FEW_PASSES, (0.001,) * FEW_PASSES)
    return replace(
        given,
        here=replace(given.here, load_before=load, load_after=later, host_cores=host_cores),
        pictures=replace(given.pictures, decode=many, geometry=many),
    )


def test_quiet_machine_and_many_passes_leave_no_doubt() -> None:
    assert doubts(repeated(*[0.010, 0.0101] * FEW_PASSES)) == []


def test_each_cause_has_its_sentence() -> None:
    """Few passes, a wide spread, others' load, before or meanwhile; and the file that is written says it too."""
    few = repeated(0.010, 0.010)
    wide = repeated(*[0.010, 0.030] * FEW_PASSES)
    busy = repeated(*[0.010] * FEW_PASSES, load=3.0)
    later = repeated(*[0.010] * FEW_PASSES, later=3.0)
    waiting = repeated(*[0.010] * FEW_PASSES, cpu_per_wall=0.75)

    assert ["passes" in doubt and "--seconds" in doubt for doubt in doubts(few)] == [True]
    assert ["differ widely" in doubt for doubt in doubts(wide)] == [True]
    assert ["3.0 before and 0.1 after of 2 cores" in doubt for doubt in doubts(busy)] == [True]
    assert ["0.1 before and 3.0 after of 2 cores" in doubt for doubt in doubts(later)] == [True]
    assert ["waited for a core 25 % of the time" in doubt for doubt in doubts(waiting)] == [True]
    for given in (few, wide, busy, later, waiting):
        chosen = choose(given, LIMITS)
        assert chosen is not None
        assert f"\n# Caution:  {doubts(given)[0]}\n" in env_text(chosen, given, LIMITS)


def test_load_is_that_of_the_whole_host() -> None:
    """A container with two of 64 cores is not disturbed by three busy ones; a host of one core is, and says so."""
    shared = repeated(*[0.010] * FEW_PASSES, load=3.0, later=3.0, host_cores=64)
    single = repeated(*[0.010] * FEW_PASSES, load=3.0, host_cores=1)

    assert doubts(shared) == []
    assert ["of 1 core:" in doubt for doubt in doubts(single)] == [True]


@pytest.mark.parametrize("spent_s", [5, 30, 60, 600])
def test_own_work_is_no_load_of_others(spent_s: int) -> None:
    """As Linux counts: every five seconds, who wants a core; here two threads of ours, and one of others."""
    load, others, fades = 0.0, 0.0, math.exp(-5 / 60)
    for _ in range(spent_s // 5):
        load = load * fades + 3 * (1 - fades)
        others = others * fades + 1 * (1 - fades)

    assert load_of_others(load, cpu_s=2.0 * spent_s, spent_s=spent_s) == pytest.approx(others)
    assert load_of_others(0.1, cpu_s=2.0 * spent_s, spent_s=spent_s) == 0.0
