"""What an explanation costs: /explain with a JPEG overlay, and with all four layers, beside /predict.

`lineside serve` with a ResNet-50 on the CPU is one process, this client another. The kinds take turns in short
rounds, so that whatever else the machine does hits all of them; printed are pictures a second, and the server's
own CPU time a picture, which a busy neighbour changes less.

    make bench-explain
"""

import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from bench import machine
from bench.client import closed_loop, family, http_message
from bench.figures import Spread, ratios, spread, table
from bench.servers import OURS
from bench.starting import Running, running
from bench.workload import Workload

ROUNDS = 6
SECONDS = 4.0
CONCURRENCY = 8
PREDICT = "/predict"
KINDS = {
    PREDICT: ("/predict?deadline_ms=60000", "application/json"),
    "/explain as JPEG": ("/explain?deadline_ms=60000", "image/jpeg"),
    "/explain, layers=all": ("/explain?layers=all&deadline_ms=60000", "application/json"),
}
Rates = dict[str, list[dict[str, float]]]
"""By kind, a row of bench/client.py for each round."""


def measure(
    started: Running, pictures: list[bytes], kinds: list[str], *, rounds: int, seconds: float
) -> Rates:
    """Every kind once a round."""
    address = urlsplit(started.url)
    rates: Rates = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            path, accept = KINDS[kind]
            url, headers = f"http://{address.netloc}{path}", (*started.server.headers, f"Accept: {accept}")
            rates[kind].append(
                uvloop.run(
                    closed_loop(
                        address.hostname or "",
                        address.port or 0,
                        [http_message(url, headers, picture) for picture in pictures],
                        concurrency=CONCURRENCY,
                        warm_s=0.5,
                        seconds=seconds,
                        server=family(started.pid),
                    )
                )
            )
    return rates


def of_predict(rates: Rates, kind: str, number: str) -> Spread:
    """Each round beside its own /predict, so that a slow minute is slow for both."""
    return ratios([row[number] for row in rates[kind]], [row[number] for row in rates[PREDICT]])


def main() -> None:
    """Measure and print, the first engine."""
    facts = machine.facts("bench.explain")
    with tempfile.TemporaryDirectory() as folder:
        workload = Workload(Path(folder))
        with running(OURS[0], workload) as started:
            rates = measure(started, workload.pictures, list(KINDS), rounds=ROUNDS, seconds=SECONDS)
    print(*(f"{name}: {value}" for name, value in facts.items()), sep="\n")
    print(f"{CONCURRENCY} callers, medians (lowest..highest) of {ROUNDS} rounds of {SECONDS:.0f} s\n")
    rows = [
        (
            kind,
            spread(row["per_s"] for row in rates[kind]).text(),
            of_predict(rates, kind, "per_s").text(2),
            spread(row["server_cpu_ms"] for row in rates[kind]).text(0),
            of_predict(rates, kind, "server_cpu_ms").text(2),
        )
        for kind in KINDS
    ]
    print(table(("asked", "pictures/s", "of /predict", "CPU ms a picture", "of /predict"), rows))


if __name__ == "__main__":
    main()
