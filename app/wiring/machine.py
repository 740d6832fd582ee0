"""Where and how networks run here: device, engine, precision, threads. Imports no torch unless it is needed."""

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from app.engines.turns import Turns
from app.errors import SettingsInvalid
from app.settings import Settings
from app.wiring.cache import FormCache
from app.wiring.forms import torch_is_installed

Runtime = Literal["auto", "torch", "openvino"]
Precision = Literal["auto", "float32", "bfloat16", "float16", "int8"]
LayerMaps = Literal["on_demand", "at_start", "off"]

ROOT: Final = Path("/")

NO_TORCH = "torch is not installed here, so networks run on OpenVINO alone: unset LINESIDE_ENGINE, or install lineside[torch]"


@dataclass(frozen=True, slots=True)
class Machine:
    """One device, and what every engine on it shares."""

    device: str
    """`cpu` or `cuda:N`."""
    runtime: Runtime = "auto"
    precision: Precision = "auto"
    threads: int | None = None
    """Of one forward pass on the CPU; None: one per core."""
    cache: FormCache = field(default_factory=FormCache)
    """Of converted networks."""
    layer_maps: LayerMaps = "on_demand"
    turns: Turns = field(default_factory=Turns)
    """Models on one device take turns: two forward passes at once would fight for its cores."""
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the server stops, so that what takes long ends."""

    @staticmethod
    def of(settings: Settings) -> "Machine":
        """As the settings say; the first device where they name several.

        Raises:
            SettingsInvalid: no such device, or an engine or precision that it does not have.
        """
        return Machine.all_of(settings)[0]

    @staticmethod
    def all_of(settings: Settings) -> "tuple[Machine, ...]":
        """One for each device that the settings name; errors as `of`."""
        stopping, cache = threading.Event(), FormCache(settings.cache_folder)
        machines = tuple(
            Machine(
                device,
                settings.engine,
                settings.precision,
                settings.inference_threads,
                cache,
                settings.layer_maps,
                stopping=stopping,
            )
            for device in _devices(settings.device)
        )
        for machine in machines:
            machine.check()
        return machines

    def fallback(self) -> "Machine":
        """The CPU of this machine, for when its CUDA devices are lost; answers every question that they did."""
        maps = "on_demand" if self.layer_maps == "off" else self.layer_maps
        return Machine("cpu", "auto", "auto", self.threads, self.cache, maps, stopping=self.stopping)

    @property
    def title(self) -> str:
        """The device for people, such as `cuda:0 (NVIDIA L4)`."""
        if self.device == "cpu":
            cores = available_cores()
            return f"cpu ({cores} core{'s' if cores != 1 else ''})"
        import torch  # noqa: PLC0415 - only where it runs

        return f"{self.device} ({torch.cuda.get_device_name(self.device)})"

    @staticmethod
    def reference() -> "Machine":
        """What golden logits are recorded with: torch on the CPU in float32."""
        return Machine("cpu", "torch", "float32")

    def check(self) -> None:
        """Raises SettingsInvalid where device, engine and precision do not go together."""
        if self.runtime == "torch" and not torch_is_installed():
            raise SettingsInvalid(NO_TORCH)
        if self.device != "cpu" and self.runtime == "openvino":
            raise SettingsInvalid(
                f"the openvino engine runs on the CPU, not on {self.device}: set LINESIDE_DEVICE=cpu or LINESIDE_ENGINE=auto"
            )
        is_cuda = self.device != "cpu"
        if self.precision in {"bfloat16", "int8"} and self.runtime == "torch" and not is_cuda:
            raise SettingsInvalid(
                f"LINESIDE_PRECISION={self.precision} needs the openvino engine on the CPU; set the precision to auto"
            )
        if self.precision == ("int8" if is_cuda else "float16"):
            raise SettingsInvalid(
                f"LINESIDE_PRECISION={self.precision} is not for {self.device}; set the precision to auto"
            )
        if self.precision == "bfloat16" and not is_cuda and not _computes_bfloat16():
            raise SettingsInvalid(
                "this CPU has no bfloat16 arithmetic (AVX-512 BF16 or AMX): set LINESIDE_PRECISION=auto or float32"
            )

    @property
    def thread_count(self) -> int:
        """Threads of one forward pass on the CPU."""
        return self.threads or available_cores()

    @property
    def precisions(self) -> tuple[str, ...]:
        """Those of OpenVINO that are tried in turn for a network that is not quantised."""
        if self.precision == "auto":
            return ("bfloat16", "float32") if _computes_bfloat16() else ("float32",)
        return (self.precision,)


def available_cores(system: Path = ROOT) -> int:
    """Cores that this process may use: its affinity, and the quotas of its control groups (`docker run --cpus`, CPUQuota=).

    Args:
        system: where /proc and /sys lie.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *(round(quota) for quota in _cpu_quotas(system))]))


def _cpu_quotas(system: Path) -> Iterator[float]:
    """In cores, of the group and of those around it, in version 2 and in version 1.

    A container of version 1 sees its own group as the root, and the host's path to it.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst, cpu.max; Documentation/scheduler/sched-bwc.rst; cgroups(7).
    """
    try:
        lines = (system / "proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = system / "sys/fs/cgroup" / ("cpu" if controllers else "")
        own = root / path.lstrip("/")
        for group in (own, *own.parents):
            if (quota := _cpu_quota(group)) is not None:
                yield quota
            if group == root:
                break


def _cpu_quota(group: Path) -> float | None:
    for files in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        with suppress(OSError, ValueError):  # no such file, or "max"
            # Both in microseconds.
            quota, period = " ".join((group / file).read_text("ascii") for file in files).split()
            if int(quota) > 0:  # -1: none
                return int(quota) / int(period)
    return None


def cuda_device_count() -> int:
    """CUDA devices that the driver shows, asked without torch; 0 where there is no driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def _devices(names: str) -> tuple[str, ...]:
    wanted = names.strip().lower()
    if wanted == "cpu" or (wanted == "auto" and (not torch_is_installed() or cuda_device_count() == 0)):
        return ("cpu",)
    if not torch_is_installed():
        raise SettingsInvalid(
            f"the device {wanted[:40]!r} needs torch, which is not installed here: set LINESIDE_DEVICE=cpu"
        )
    from app.engines.torch_engine import resolve_devices  # noqa: PLC0415 - only where torch is used

    return resolve_devices(wanted)


def _computes_bfloat16() -> bool:
    from app.engines.openvino_engine import cpu_computes_bfloat16  # noqa: PLC0415 - half a second

    return cpu_computes_bfloat16()
