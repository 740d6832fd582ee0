"""What may make a recommendation wrong is said with it."""

from dataclasses import replace

from support.tunings import measured, row

from app.tuning.choosing import Limits, choose
from app.tuning.doubts import FEW_PASSES, doubts
from app.tuning.env_file import env_text
from app.tuning.measured import Measured, Timing

LIMITS = Limits(deadline_s=2.0, max_requests=256, max_queue_bytes=256 * 2**20)


def repeated(*wall_s: float, load: float = 0.1) -> Measured:
    """One configuration whose only size took these times, on two cores."""
    timing = Timing(wall_s, wall_s)
    given = measured(replace(row(seconds={1: 1.0}), timings={1: timing}))
    many = Timing((0.001,) * FEW_PASSES, (0.001,) * FEW_PASSES)
    return replace(
        given,
        here=replace(given.here, load=load),
        pictures=replace(given.pictures, decode=many, geometry=many),
    )


def test_quiet_machine_and_many_passes_leave_no_doubt() -> None:
    assert doubts(repeated(*[0.010, 0.0101] * FEW_PASSES)) == []


def test_each_cause_has_its_sentence() -> None:
    """Few passes, a wide spread, others' load; and the file that is written says it too."""
    few = repeated(0.010, 0.010)
    wide = repeated(*[0.010, 0.030] * FEW_PASSES)
    busy = repeated(*[0.010] * FEW_PASSES, load=3.0)

    assert ["passes" in doubt and "--seconds" in doubt for doubt in doubts(few)] == [True]
    assert ["differ widely" in doubt for doubt in doubts(wide)] == [True]
    assert ["3.0 of 2 cores" in doubt for doubt in doubts(busy)] == [True]
    for given in (few, wide, busy):
        chosen = choose(given, LIMITS)
        assert chosen is not None
        assert f"\n# Caution:  {doubts(given)[0]}\n" in env_text(chosen, given, LIMITS)
