"""What was measured, as values: passes, their medians and spread, on which machine.

Knows no engines. Times are seconds; `cpu_s` counts every thread of this process, so a pass on two cores may use twice
its wall time.
"""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from app.tuning.configurations import Configuration
from app.tuning.words import counted


@dataclass(frozen=True, slots=True)
class Timing:
    """The same thing done again and again."""

    wall_s: tuple[float, ...]
    """Of each repeat; at least one."""
    cpu_s: tuple[float, ...]
    """Of each repeat."""

    @property
    def median_s(self) -> float:
        """Wall time."""
        return statistics.median(self.wall_s)

    @property
    def median_cpu_s(self) -> float:
        """CPU time."""
        return statistics.median(self.cpu_s)

    @property
    def wall_per_cpu(self) -> float:
        """Of all repeats together: 1 where one thread had a core all the time, more where it waited for one."""
        return sum(self.wall_s) / max(sum(self.cpu_s), 1e-9)

    @property
    def spread(self) -> float | None:
        """Half of the distance between the quartiles, as a share of the median; None where nothing was repeated."""
        if len(self.wall_s) < 2:
            return None
        low, _, high = statistics.quantiles(self.wall_s, n=4, method="inclusive")
        return (high - low) / 2 / self.median_s


@dataclass(frozen=True, slots=True)
class Row:
    """One configuration."""

    configuration: Configuration
    refusal: str | None
    """Why it may not serve: its golden images do not hold; None where they hold, or where there are none."""
    golden_difference: float | None
    """The largest of any probability of a golden image; None where there are none."""
    timings: Mapping[int, Timing]
    """Of a forward pass, by batch size, ascending; 1 is in."""

    def per_s(self, batch_size: int) -> float:
        """Images a second of the engine alone."""
        return batch_size / self.timings[batch_size].median_s

    def cpu_s_per_image(self, batch_size: int) -> float:
        """CPU time of the engine."""
        return self.timings[batch_size].median_cpu_s / batch_size


@dataclass(frozen=True, slots=True)
class PictureCost:
    """What a picture costs before the network sees it; of the mean picture, on one thread."""

    pictures: int
    decode: Timing
    geometry: Timing

    @property
    def wall_s(self) -> float:
        """Decoding and geometry."""
        return self.decode.median_s + self.geometry.median_s

    @property
    def cpu_s(self) -> float:
        """Decoding and geometry."""
        return self.decode.median_cpu_s + self.geometry.median_cpu_s


@dataclass(frozen=True, slots=True)
class Here:
    """The machine, when it was measured."""

    device: str
    """`cpu` or `cuda:N`."""
    device_name: str
    """What the maker calls it."""
    cores: int
    """That this process may use."""
    host_cores: int
    """Of the whole machine, which the load is that of; more than `cores` in a container or under taskset."""
    load_before: float
    """Processes of others that wanted a core, mean of the minute before measuring."""
    load_after: float
    """The same of the minute before its end."""
    made_with: Mapping[str, str]
    """Versions."""
    date: str
    """ISO 8601, to the day."""

    @property
    def loads(self) -> str:
        """Of others, for people."""
        return f"{self.load_before:.1f} before and {self.load_after:.1f} after"

    @property
    def title(self) -> str:
        """In one line, for people."""
        return f"{self.device_name}, {counted(self.cores, 'core')}, load from elsewhere {self.loads}"


@dataclass(frozen=True, slots=True)
class Measured:
    """One bundle on one machine."""

    name: str
    version: int
    is_quantised: bool
    """Whether the bundle has an int8 form, which an engine that chooses for itself then takes."""
    image_bytes: int
    """Of one image that waits in the queue."""
    here: Here
    rows: tuple[Row, ...]
    pictures: PictureCost
    seconds: float
    """That measuring took."""
    notes: tuple[str, ...] = ()
    """What was not measured, and why."""

    @property
    def fewest_passes(self) -> int:
        """Of any figure."""
        timings = [timing for row in self.rows for timing in row.timings.values()]
        return min(len(timing.wall_s) for timing in (*timings, self.pictures.decode))
