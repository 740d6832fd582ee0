"""This server alone, by engine and precision: what each stage costs, what of the limit is reached, and what overload does.

    make bench                  # or: python -m bench.server --rounds 3 --requests 10000
    make bench-quick            # one short round of the first engine; only printed

Each round takes every engine in turn: its stages alone in a process without a server, then `lineside serve` under a
closed loop and at ten times its capacity. In the last round also /explain beside /predict, an idle while, and the
memory after --requests. Writes bench/results/server.json and, from it, bench/README.md.

With --side the network gets smaller pictures and costs less, as on a quicker processor: what HTTP and the rest cost
shows then. Such results are of no real model, and need a --results of their own.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping

from bench import explain, overload, page
from bench.measuring import closed_loops, idle_share, measure
from bench.rounds import Results, interleaved, parser_for
from bench.server_page import server_section
from bench.servers import OURS, Server
from bench.starting import Running, running
from bench.workload import SIDE, Unavailable, Workload, last_words

EXPLAIN_KINDS = [explain.PREDICT, "/explain as JPEG"]


def options() -> argparse.Namespace:
    """From the command line."""
    parser = parser_for(__doc__ or "", OURS, page.RESULTS / "server.json")
    parser.add_argument(
        "--quick", action="store_true", help="one short round of the first engine; only printed"
    )
    parser.add_argument("--requests", type=int, default=2000, help="answered before memory is read")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds without a request")
    parser.add_argument("--side", type=int, default=SIDE, help="pixels of the network's input")
    chosen = parser.parse_args()
    if chosen.side != SIDE and not chosen.quick and chosen.results.resolve().parent == page.RESULTS.resolve():
        parser.error("--side: such figures are of no real model; keep them elsewhere, with --results FILE")
    if chosen.quick:
        chosen.rounds, chosen.seconds, chosen.requests, chosen.idle = 1, 3.0, 200, 5.0
        chosen.only = chosen.only or [OURS[0].name]
    return chosen


def stages_alone(server: Server, workload: Workload, *, seconds: float) -> dict[str, object]:
    """bench/stages.py with this server's settings.

    Raises:
        Unavailable: the engine cannot be built.
    """
    if reason := server.needs():
        raise Unavailable(reason)
    done = subprocess.run(
        [sys.executable, "-m", "bench.stages", workload.picture_folder, "--seconds", str(seconds)],
        check=False,
        env=workload.lineside_environment(server.repository(workload), **server.variables),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Unavailable(f"its stages cannot be measured: {last_words(done.stderr)}")
    found: dict[str, object] = json.loads(done.stdout)
    return found


def floods(started: Running, workload: Workload, *, seconds: float) -> dict[str, object]:
    """Ten times the capacity by both kinds of client.

    Raises:
        Unavailable: as `overload.measure`.
    """
    return {
        name: overload.measure(started, workload.pictures, seconds=seconds, keeps=keeps)
        for name, keeps in (("overload", False), ("overload_kept", True))
    }


def extras(
    started: Running, workload: Workload, loops: Mapping[str, Mapping[str, float]], chosen: argparse.Namespace
) -> dict[str, object]:
    """What is measured once: explanations, an idle while, memory after many requests."""
    explained = explain.measure(
        started,
        workload.pictures,
        EXPLAIN_KINDS,
        rounds=max(2, chosen.rounds),
        seconds=min(4.0, chosen.seconds),
    )
    idle = idle_share(started, chosen.idle)
    answered = sum(row["per_s"] * chosen.seconds for row in loops.values())
    rate = max(row["per_s"] for row in loops.values())
    while answered < chosen.requests:
        seconds = max(1.0, (chosen.requests - answered) / rate)
        rows = closed_loops(started, workload.pictures, concurrency=[16], seconds=seconds)
        answered += rows["16"]["per_s"] * seconds
    return {
        "explain": explained,
        "idle_share": idle,
        "idle_s": chosen.idle,
        "requests": int(answered),
        "rss_mib": started.rss_mib(),
    }


def main() -> None:
    """Measure, write, print the tables."""
    chosen = options()

    def one_round(server: Server, workload: Workload, is_last: bool) -> Results:
        """The stages, then the server."""
        stages = stages_alone(server, workload, seconds=min(1.5, chosen.seconds))
        with running(server, workload) as started:
            seen = measure(started, workload, concurrency=chosen.concurrency, seconds=chosen.seconds)
            flooded, more, reason = {}, None, None
            try:
                flooded = floods(started, workload, seconds=min(overload.SECONDS, 2 * chosen.seconds))
                if is_last:
                    more = extras(started, workload, seen.loops, chosen)
            except Unavailable as error:  # the round is good all the same
                reason = f"overload, idle and memory: {error}"
        return seen.as_json() | flooded | {"stages": stages, "extras": more, "extras_unavailable": reason}

    def keep(results: Results) -> None:
        if not chosen.quick:
            page.write(chosen.results, results)

    print(server_section(interleaved("bench.server", chosen, OURS, one_round, keep, side=chosen.side)))


if __name__ == "__main__":
    main()
