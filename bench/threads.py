"""How torch's OpenMP threads should wait for each other: one ResNet-50 picture, alone and beside a busy neighbour.

Each policy runs in a process of its own (OpenMP reads it once), the four cases interleaved, two rounds, medians.

    make bench-threads
"""

import os
import statistics
import subprocess
import sys
import time

ROUNDS = 2
CODE = """
import time, torch, torchvision
model = torchvision.models.resnet50(weights=None).eval().to(memory_format=torch.channels_last)
image = torch.zeros(1, 3, 224, 224).to(memory_format=torch.channels_last)
times = []
with torch.inference_mode():
    model(image)
    end = time.perf_counter() + 3
    while len(times) < 30 and time.perf_counter() < end or not times:
        start = time.perf_counter(); model(image); times.append(time.perf_counter() - start)
print(sorted(times)[len(times) // 2] * 1000)
"""


def median_ms(policy: str, *, has_neighbour: bool) -> float:
    """Median of one process."""
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if has_neighbour else None
    try:
        env = os.environ | {"OMP_WAIT_POLICY": policy}
        done = subprocess.run(
            [sys.executable, "-c", CODE], env=env, capture_output=True, text=True, check=True
        )
    finally:
        if neighbour is not None:
            neighbour.kill()
            neighbour.wait()
    return float(done.stdout)


def main() -> None:
    """Measure and print."""
    cases = [(policy, busy) for busy in (False, True) for policy in ("PASSIVE", "ACTIVE")]
    results: dict[tuple[str, bool], list[float]] = {case: [] for case in cases}
    for _ in range(ROUNDS):
        for policy, busy in cases:
            results[policy, busy].append(median_ms(policy, has_neighbour=busy))
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} from elsewhere, {time.strftime('%Y-%m-%d')}"
    )
    for busy in (False, True):
        passive, active = (statistics.median(results[policy, busy]) for policy in ("PASSIVE", "ACTIVE"))
        print(
            f"{'beside a busy neighbour' if busy else 'alone':24s} passive {passive:7.1f} ms   active {active:7.1f} ms   "
            f"ratio {passive / active:.2f}"
        )


if __name__ == "__main__":
    main()
