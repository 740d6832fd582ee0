"""results/peers.json -> the part of bench/README.md that sets Lineside beside its peers."""

from collections.abc import Sequence

from bench.client import LEAST_EACH
from bench.figures import Row, kind_of_cpu, over_rounds, ratios, setting_line, table


def best_peer(servers: Sequence[Row], number: str, *, is_lower_better: bool = False) -> Row | None:
    """The peer whose median is best; None where no peer was measured."""
    peers = [server for server in servers if server["is_peer"] and server["rounds"]]
    sign = -1 if is_lower_better else 1
    return max(
        peers,
        key=lambda server: sign * over_rounds(server["rounds"], lambda row: row[number]).median,
        default=None,
    )


def peers_section(results: Row) -> str:
    """Markdown."""
    measured = [server for server in results["servers"] if server["rounds"]]
    parts = [
        f"## Beside its peers, on {kind_of_cpu(results)}",
        setting_line(results),
        f"One request is a 768 x 574 JPEG, the network a ResNet-50 with three classes, the client a process of its own on the "
        f"same cores. {results['rounds']} rounds in turn, {results['seconds']:g} s at each concurrency "
        f"({', '.join(map(str, results['concurrency']))}): medians (lowest..highest round). Ratios are of the same round. "
        f"{_counting(measured)}{_idle_was_lost(measured)} "
        f"Before each measurement all {results['pictures']} pictures are asked at once and compared with torch float32.",
    ]
    if measured:
        parts += [
            f"![]({results.get('plot', 'results/peers.svg')})",
            _main_table(measured),
            _by_concurrency(results, measured),
        ]
    if missing := [server for server in results["servers"] if server["unavailable"]]:
        parts.append(
            "Not measured, or not to the end:\n\n"
            + "\n".join(f"- {server['name']}: {server['unavailable']}" for server in missing)
        )
    parts.append(
        "What was set, and what ran:\n\n"
        + "\n".join(f"- {server['name']}: {server['setting']}{_versions(server)}" for server in measured)
    )
    return "\n\n".join(parts) + "\n"


def _counting(measured: Sequence[Row]) -> str:
    loops = [loop for server in measured for row in server["rounds"] for loop in row["loops"].values()]
    if all("seconds" in loop for loop in loops):
        return (
            f"It lasts longer where that takes every connection to be answered {LEAST_EACH} times beyond its first, which found "
            "the queue short; what has begun is counted to its end."
        )
    return (
        "Measured before the client waited for the slow ones: what had not been answered by the end of the window was left "
        "out, so that the p99 of a server that gives less than 10 images/s at 64 is too low, and its images/s there are a "
        "count of whole batches, up to a quarter off to either side."
    )


def _main_table(measured: Sequence[Row]) -> str:
    fastest, quickest = (
        best_peer(measured, "best_per_s"),
        best_peer(measured, "lone_p50_ms", is_lower_better=True),
    )

    def ratio(server: Row, peer: Row | None, number: str) -> str:
        if peer is None:
            return "-"
        return ratios(
            [row[number] for row in server["rounds"]], [row[number] for row in peer["rounds"]]
        ).text(2)

    rows = []
    for server in sorted(
        measured, key=lambda row: -over_rounds(row["rounds"], lambda r: r["best_per_s"]).median
    ):
        rounds = server["rounds"]
        agreed = [row["agreement"] for row in rounds]
        rows.append(
            (
                server["name"] if server["is_peer"] else f"**{server['name']}**",
                over_rounds(rounds, lambda row: row["best_per_s"]).text(),
                ratio(server, fastest, "best_per_s"),
                over_rounds(rounds, lambda row: row["lone_p50_ms"]).text(),
                ratio(server, quickest, "lone_p50_ms"),
                over_rounds(rounds, lambda row: row["memory_mib"]).text(0),
                _idle(rounds),
                f"{min(row['same_class'] for row in agreed)} of {agreed[0]['pictures']}",
                f"{max(row['max_difference'] for row in agreed):.1e}",
            )
        )
    return table(
        (
            "server",
            "best images/s",
            f"of {fastest['name'] if fastest else 'a peer'}'s",
            "lone p50, ms",
            f"of {quickest['name'] if quickest else 'a peer'}'s",
            "memory, MiB",
            "idle, % of a core",
            "same class",
            "largest difference",
        ),
        rows,
    )


def _idle_was_lost(measured: Sequence[Row]) -> str:
    if not any(row["idle_share"] is None for server in measured for row in server["rounds"]):
        return ""
    return " Idle is not said here: the client of that day left requests behind, and the servers still worked through them."


def _idle(rounds: Sequence[Row]) -> str:
    """ "-": not measured."""
    if any(row["idle_share"] is None for row in rounds):
        return "-"
    return over_rounds(rounds, lambda row: row["idle_share"] * 100).text()


def _by_concurrency(results: Row, measured: Sequence[Row]) -> str:
    rows = []
    for server in measured:
        best = max(
            (row["loops"][str(number)] for row in server["rounds"] for number in results["concurrency"]),
            key=lambda loop: loop["per_s"],
        )
        failed = sum(loop["failed"] for row in server["rounds"] for loop in row["loops"].values())
        rows.append(
            (
                server["name"],
                *(
                    over_rounds(
                        server["rounds"], lambda row, at=number: row["loops"][str(at)]["per_s"]
                    ).text()
                    for number in results["concurrency"]
                ),
                over_rounds(
                    server["rounds"], lambda row: row["loops"][str(max(results["concurrency"]))]["p99_ms"]
                ).text(0),
                f"{best['server_cpu_ms']:.1f}",
                str(failed),
            )
        )
    return table(
        (
            "images/s at concurrency",
            *map(str, results["concurrency"]),
            f"p99 at {max(results['concurrency'])}, ms",
            "CPU ms a picture, at its best",
            "not answered",
        ),
        rows,
    )


def _versions(server: Row) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in server["versions"].items())
    return f" ({versions})" if versions else ""
