"""Why figures may not hold on another day, in sentences; pure."""

import statistics

from app.tuning.measured import Measured
from app.tuning.words import counted

FEW_PASSES = 5
"""Below, one quiet or busy moment decides a median: two passes were seen to make the slower engine the best."""
WIDE_SPREAD = 0.15
"""Above, the machine did something else beside."""
BUSY_CORES = 0.5
"""Share of the cores that others may want; the same pass took 14 and 46 ms, medians both, under a load of five to seven times the cores."""
WAITING = 1.15
"""Wall time of one thread over its CPU time: 1.00 on a quiet machine; 1.26 to 1.73 where a load of 4 came to two cores meanwhile,
while the spreads stayed below `WIDE_SPREAD`."""


def doubts(measured: Measured) -> list[str]:
    """None of them where the machine was quiet and the time long enough."""
    found = []
    here = measured.here
    if max(here.load_before, here.load_after) > BUSY_CORES * here.host_cores:
        found.append(
            f"other programs wanted {here.loads} of {counted(here.host_cores, 'core')}: measure again on a quiet machine, it "
            "may choose otherwise"
        )
    waited = _longest_wait(measured)
    if waited > WAITING:
        found.append(
            f"a single thread waited for a core {100 * (1 - 1 / waited):.0f} % of the time: something else ran beside, or the "
            "cores are rationed"
        )
    if measured.fewest_passes < FEW_PASSES:
        found.append(
            f"some figures are medians of fewer than {FEW_PASSES} passes, so chance may have chosen: give more --seconds"
        )
    spreads = [timing.spread or 0.0 for row in measured.rows for timing in row.timings.values()]
    if statistics.median(spreads) > WIDE_SPREAD:
        found.append("the passes of one configuration differ widely: something else ran beside them")
    return found


def _longest_wait(measured: Measured) -> float:
    """Wall time over CPU time: the configuration of one thread that waited most, or decoding; the median of its batch sizes."""
    alone = [[*row.timings.values()] for row in measured.rows if row.configuration.threads == 1]
    alone.append([measured.pictures.decode])
    return max(statistics.median(timing.wall_per_cpu for timing in timings) for timings in alone)
