"""What machine this is, for people who read a measurement later."""

import math
import os
import platform
import time
from pathlib import Path

from app.tuning.measured import Here
from app.wiring import environment
from app.wiring.machine import available_cores

MINUTE_S = 60.0


def load_of_others(load: float, *, cpu_s: float, spent_s: float) -> float:
    """The load average, less what this process added to it.

    Args:
        load: the first of the three, a mean in which what was a minute ago counts e times less; of the whole host, also in
            a container.
        cpu_s: CPU time that this process took, spread evenly over
        spent_s: the time until now.

    Source: Linux, kernel/sched/loadavg.c.
    """
    return max(0.0, load - cpu_s / spent_s * -math.expm1(-spent_s / MINUTE_S))


class Load:
    """What others want of the machine, from now on."""

    def __init__(self) -> None:
        self.before = os.getloadavg()[0]
        self._started = time.perf_counter()
        self._cpu_s = _own_cpu_s()

    def now(self) -> float:
        """Processes of others that wanted a core, mean of the last minute."""
        return load_of_others(
            os.getloadavg()[0],
            cpu_s=_own_cpu_s() - self._cpu_s,
            spent_s=time.perf_counter() - self._started,
        )


def _own_cpu_s() -> float:
    """Of all threads, and of the processes that converted a network and ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def here(device: str, runtimes: tuple[str, ...], load: Load) -> Here:
    """This machine.

    Args:
        device: `cpu` or `cuda:N`.
        runtimes: distributions whose versions are said.
        load: begun before the measuring, which has just ended.
    """
    versions: dict[str, str] = {}
    for runtime in runtimes:
        versions |= environment(device, "", runtime)
    for unrelated in ("device", "precision"):
        versions.pop(unrelated, None)
    return Here(
        device=device,
        device_name=_cpu_name() if device == "cpu" else _gpu_name(device),
        cores=available_cores(),
        host_cores=os.cpu_count() or 1,
        load_before=load.before,
        load_after=load.now(),
        made_with=versions,
        date=time.strftime("%Y-%m-%d"),
    )


def _cpu_name() -> str:
    """Source: Linux, /proc/cpuinfo, `model name`; absent on ARM."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _gpu_name(device: str) -> str:
    import torch  # noqa: PLC0415 - a GPU has torch loaded already

    return str(torch.cuda.get_device_name(device))
