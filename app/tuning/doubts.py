"""Why figures may not hold on another day, in sentences; pure."""

import statistics

from app.tuning.measured import Measured

FEW_PASSES = 5
"""Below, one quiet or busy moment decides a median: two passes were seen to make the slower engine the best."""
WIDE_SPREAD = 0.15
"""Above, the machine did something else beside."""
BUSY_CORES = 0.5
"""Share of the cores that others may want; the same pass took 14 and 46 ms, medians both, under a load of five to seven times the cores."""


def doubts(measured: Measured) -> list[str]:
    """None of them where the machine was quiet and the time long enough."""
    found = []
    here = measured.here
    if here.load > BUSY_CORES * here.cores:
        found.append(
            f"other programs wanted {here.load:.1f} of {here.cores} cores before this began: measure again on a quiet machine, "
            "it may choose otherwise"
        )
    if measured.fewest_passes < FEW_PASSES:
        found.append(
            f"some figures are medians of fewer than {FEW_PASSES} passes, so chance may have chosen: give more --seconds"
        )
    spreads = [timing.spread or 0.0 for row in measured.rows for timing in row.timings.values()]
    if statistics.median(spreads) > WIDE_SPREAD:
        found.append("the passes of one configuration differ widely: something else ran beside them")
    return found
