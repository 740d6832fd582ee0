"""What a measurement was made on, so that a number is never without it."""

import os
import platform
import shlex
import sys
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
"""What matrix kernels ask for."""
BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))


def _cpu_line(name: str) -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def environment() -> dict[str, str]:
    """The variables that this process was started with.

    `app` sets OMP_WAIT_POLICY for its own process when it is imported, which os.environ would hand on to the peers.
    """
    pairs = Path("/proc/self/environ").read_bytes().split(b"\0")
    return dict(os.fsdecode(pair).split("=", 1) for pair in pairs if b"=" in pair)


def cpu_flags() -> frozenset[str]:
    """Every instruction set that the CPU names."""
    return frozenset(_cpu_line("flags").split())


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Of those packages that are installed here, and of Python."""
    found = {"Python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def facts(module: str) -> dict[str, object]:
    """Call it before anything is measured: the load is that of others.

    Args:
        module: of the program, as `python -m` takes it.
    """
    present = cpu_flags()
    return {
        "command": shlex.join(["python", "-m", module, *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%d"),
        "cpu": _cpu_line("model name") or platform.machine(),
        "cores": cores(),
        "flags": [flag for flag in FLAGS if flag in present],
        "load_before": round(os.getloadavg()[0], 2),
        "versions": versions(("torch", "torchvision", "openvino", "nncf", "pillow", "simplejpeg", "numpy")),
        "omp_wait_policy": environment().get("OMP_WAIT_POLICY", "each server's own"),
    }
