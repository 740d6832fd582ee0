"""Measures one bundle through the server's own engines, in turn, so that what the machine does besides hits all alike.

bundle + machine -> kinds that both have -> engines, judged by golden images -> [visited in turn until time is up] -> rows

A visit runs every batch size of one configuration once; the order of the visits is another in each round. One visit is
that of the pictures: decoding and geometry on one thread. All engines stay in memory meanwhile, some 100 MB each for a
ResNet-50.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from app.bundles.repository import Bundle
from app.domain import Geometry
from app.engines.base import Engine
from app.errors import BundleRefused, SettingsInvalid
from app.images.decode import decode
from app.images.preprocess import preprocess
from app.tuning.configurations import PRECISIONS, RUNTIMES, Configuration, Precision, Runtime, configurations
from app.tuning.measured import PictureCost, Row, Timing
from app.wiring import Machine, Proved, examine, unproved

Tell = Callable[[str, float], None]
"""(stage, share of it that is done)."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A configuration that runs here."""

    configuration: Configuration
    engine: Engine
    device: str
    refusal: str | None
    golden_difference: float | None


def kinds(bundle: Bundle, machine: Machine) -> tuple[list[tuple[Runtime, Precision]], list[str]]:
    """Engines and precisions that this machine and this bundle have, and what keeps others out."""
    found: list[tuple[Runtime, Precision]] = []
    notes: list[str] = []
    for runtime in RUNTIMES:
        for precision in PRECISIONS:
            if precision == "int8" and bundle.manifest.quantization is None:
                continue
            try:
                replace(machine, runtime=runtime, precision=precision).check()
            except SettingsInvalid as error:
                # What torch lacks beside OpenVINO is no news, nor is OpenVINO on a GPU.
                if machine.device == "cpu" and (runtime == "openvino" or precision == "float32"):
                    notes.append(f"{runtime} {precision}: {error.message}")
                continue
            found.append((runtime, precision))
    if machine.device == "cpu" and bundle.manifest.quantization is None:
        notes.append(
            f"int8: the bundle has no such form; `lineside quantize {bundle.name}` makes a version that has"
        )
    return found, notes


@contextmanager
def contenders(
    bundle: Bundle,
    machine: Machine,
    *,
    cores: int,
    batch_sizes: Sequence[int],
    max_pixels: int,
    tell: Tell,
) -> Iterator[tuple[list[Contender], list[str]]]:
    """Every configuration, built, warmed and judged; and why some are not there. Closed at the end.

    Raises:
        BundleRefused: there is none.
    """
    with ExitStack() as stack:

        def built(configuration: Configuration) -> Proved:
            proved = examine(
                bundle.folder,
                machine=replace(
                    machine,
                    runtime=configuration.runtime,
                    precision=configuration.precision,
                    threads=configuration.threads,
                    layer_maps="off",
                ),
                batch_sizes=batch_sizes,
                max_pixels=max_pixels,
            )
            stack.callback(proved.engine.close)
            return proved

        possible, notes = kinds(bundle, machine)
        ready: list[Contender] = []
        torch: dict[Precision, Proved] = {}
        """By precision: torch's threads are the process's, so one engine has them all."""
        refused: BundleRefused | None = None
        planned = configurations(possible, device=machine.device, cores=cores)
        for number, configuration in enumerate(planned):
            tell(f"building {configuration}", number / len(planned))
            try:
                proved = torch.get(configuration.precision) if configuration.runtime == "torch" else None
                if proved is None:
                    proved = built(configuration)
            except BundleRefused as error:
                refused = error
                notes.append(f"{configuration}: {error.message}")
                continue
            if configuration.runtime == "torch":
                torch[configuration.precision] = proved
            golden = proved.proof.golden
            ready.append(
                Contender(
                    configuration,
                    proved.engine,
                    machine.device,
                    unproved(proved),
                    None if golden is None else golden.max_probability_difference,
                )
            )
        if not ready:
            raise refused or SettingsInvalid("neither OpenVINO nor torch runs on this device")
        yield ready, notes


def measure(
    ready: Sequence[Contender],
    pictures: Sequence[bytes],
    geometry: Geometry,
    *,
    batch_sizes: Sequence[int],
    max_pixels: int,
    seconds: float,
    tell: Tell,
) -> tuple[tuple[Row, ...], PictureCost]:
    """Visits all in turn until the time is up, each at least once.

    Args:
        ready: warmed for `batch_sizes`.
        pictures: files that can be decoded, at least one.
        geometry: the manifest's.
        batch_sizes: to be timed.
        max_pixels: larger pictures are refused.
        seconds: the last visit may end a little later, the first round much later.
        tell: told how far it is, between the visits: what draws it must not run beside them.
    """
    runs = [_Runs(contender, batch_sizes) for contender in ready]
    costs = _Costs(pictures, geometry, max_pixels)
    visits: list[Callable[[], None]] = [*(run.visit for run in runs), costs.visit]
    order = np.random.default_rng(0)
    started = time.perf_counter()
    is_first = True
    while is_first or time.perf_counter() - started < seconds:
        for at in order.permutation(len(visits)):
            spent = time.perf_counter() - started
            if not is_first and spent >= seconds:
                break
            tell("measuring", min(1.0, spent / seconds))
            visits[at]()
        is_first = False
    return tuple(run.row() for run in runs), costs.cost()


@dataclass(slots=True)
class _Repeats:
    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def timing(self) -> Timing:
        return Timing(tuple(self.wall_s), tuple(self.cpu_s))


class _Runs:
    """One contender's passes."""

    def __init__(self, contender: Contender, batch_sizes: Sequence[int]) -> None:
        self._contender = contender
        size = contender.engine.input_size
        noise = np.random.default_rng(0)  # zeros would take short cuts
        self._batches: Mapping[int, NDArray[np.uint8]] = {
            count: noise.integers(0, 256, (count, size.height, size.width, 3), dtype=np.uint8)
            for count in sorted(batch_sizes)
        }
        self._repeats = {count: _Repeats() for count in self._batches}

    def visit(self) -> None:
        engine = self._contender.engine
        self._take_threads()
        # Untimed: another engine's weights are in the caches, and its threads may still be falling asleep.
        engine.run(self._batches[1])
        for count, images in self._batches.items():
            cpu, wall = time.process_time(), time.perf_counter()
            engine.run(images)
            self._repeats[count].wall_s.append(time.perf_counter() - wall)
            self._repeats[count].cpu_s.append(time.process_time() - cpu)

    def row(self) -> Row:
        contender = self._contender
        timings = {count: repeats.timing() for count, repeats in self._repeats.items()}
        return Row(contender.configuration, contender.refusal, contender.golden_difference, timings)

    def _take_threads(self) -> None:
        configuration = self._contender.configuration
        if configuration.runtime == "torch" and self._contender.device == "cpu":
            from app.engines.torch_engine import use_threads  # noqa: PLC0415 - torch is loaded where it runs

            use_threads(configuration.threads)


class _Costs:
    """What the pictures cost before the engine; each visit is the mean of all of them."""

    def __init__(self, pictures: Sequence[bytes], geometry: Geometry, max_pixels: int) -> None:
        self._pictures = pictures
        self._geometry = geometry
        self._max_pixels = max_pixels
        self._decode = _Repeats()
        self._geometry_steps = _Repeats()

    def visit(self) -> None:
        count = len(self._pictures)
        wall_s, cpu_s = np.zeros(2), np.zeros(2)
        for data in self._pictures:
            wall, cpu = [time.perf_counter()], [time.thread_time()]
            picture = decode(data, geometry=self._geometry, max_pixels=self._max_pixels, keeps_picture=False)
            wall.append(time.perf_counter())
            cpu.append(time.thread_time())
            preprocess(picture, self._geometry.steps)
            wall.append(time.perf_counter())
            cpu.append(time.thread_time())
            wall_s += np.diff(wall)
            cpu_s += np.diff(cpu)
        for repeats, wall_sum, cpu_sum in zip(
            (self._decode, self._geometry_steps), wall_s, cpu_s, strict=True
        ):
            repeats.wall_s.append(float(wall_sum) / count)
            repeats.cpu_s.append(float(cpu_sum) / count)

    def cost(self) -> PictureCost:
        return PictureCost(len(self._pictures), self._decode.timing(), self._geometry_steps.timing())
