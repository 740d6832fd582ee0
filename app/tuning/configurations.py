"""What is measured: engines, precisions, threads of a forward pass, and batch sizes.

kinds (engine, precision) + cores -> configurations

Pure; whether this machine and this bundle have a kind is asked in measuring.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Runtime = Literal["openvino", "torch"]
Precision = Literal["float32", "bfloat16", "int8"]
RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

BATCH_SIZES = (1, 2, 4, 8, 16)
CUDA_BATCH_SIZES = (*BATCH_SIZES, 32)
"""A GPU is often still gaining at 16; two to sixteen cores are not."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """One way to run a network here."""

    runtime: Runtime
    precision: Precision
    threads: int | None
    """Of a forward pass; None where a device of its own computes."""

    def __str__(self) -> str:
        """In words, such as `openvino int8, 2 threads`."""
        if self.threads is None:
            return f"{self.runtime} {self.precision}"
        return f"{self.runtime} {self.precision}, {self.threads} thread{'' if self.threads == 1 else 's'}"


def thread_counts(cores: int) -> tuple[int, ...]:
    """The powers of two below the cores, and all of them."""
    return (*(2**power for power in range(cores.bit_length()) if 2**power < cores), cores)


def batch_sizes(device: str) -> tuple[int, ...]:
    """Those that are worth trying on this device."""
    return BATCH_SIZES if device == "cpu" else CUDA_BATCH_SIZES


def configurations(
    kinds: Iterable[tuple[Runtime, Precision]], *, device: str, cores: int
) -> tuple[Configuration, ...]:
    """Every kind with every count of threads, which only the CPU has."""
    counts = thread_counts(cores) if device == "cpu" else (None,)
    return tuple(Configuration(*kind, threads) for kind in kinds for threads in counts)
