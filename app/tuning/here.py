"""What machine this is, for people who read a measurement later."""

import os
import platform
import time
from pathlib import Path

from app.tuning.measured import Here
from app.wiring import environment
from app.wiring.machine import available_cores


def here(device: str, runtimes: tuple[str, ...]) -> Here:
    """This machine now.

    Args:
        device: `cpu` or `cuda:N`.
        runtimes: distributions whose versions are said.
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
        load=os.getloadavg()[0],
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
