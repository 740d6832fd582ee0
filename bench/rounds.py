"""The frame of a measurement: every server once in each round, in turn, so that a slow minute is slow for all.

options -> workload -> round by round: a row of each server, or why there is none -> results, kept after every row
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import machine
from bench.servers import Server
from bench.starting import versions_of
from bench.workload import SIDE, Unavailable, Workload

Results = dict[str, object]
OneRound = Callable[[Server, Workload, bool], Results]
"""Server, workload, whether it is the last round -> its row. Raises Unavailable."""


def parser_for(described: str, servers: Sequence[Server], results: Path) -> argparse.ArgumentParser:
    """Options that every such program has."""
    names = [server.name for server in servers]
    parser = argparse.ArgumentParser(
        description=described, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each concurrency in each round")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help="some of them, by name")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="post these files, not painted ones")
    parser.add_argument("--results", type=Path, default=results, help="where the numbers go")
    return parser


def interleaved(
    module: str,
    chosen: argparse.Namespace,
    servers: Sequence[Server],
    one_round: OneRound,
    keep: Callable[[Results], None],
    *,
    side: int = SIDE,
) -> Results:
    """Measure; a server that fails once is left out from then on.

    Args:
        module: of the program, as `python -m` takes it.
        chosen: from a parser of `parser_for`.
        servers: all there are; `chosen.only` chooses.
        one_round: measures one server once.
        keep: given the results after every row, so that a run that is cut short has said something.
        side: as Workload's.
    """
    # So that the server under test is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    facts = machine.facts(module)
    taken = [server for server in servers if not chosen.only or server.name in chosen.only]
    rows: dict[str, list[Results]] = {server.name: [] for server in taken}
    versions: dict[str, dict[str, str]] = {}
    reasons: dict[str, str] = {}
    pictures = [file.read_bytes() for file in sorted(chosen.pictures.iterdir())] if chosen.pictures else None
    began = time.monotonic()
    results: Results = {}
    with tempfile.TemporaryDirectory() as folder:
        workload = Workload(Path(folder), pictures, side=side)
        for number in range(chosen.rounds):
            for server in taken:
                if server.name in reasons:
                    continue
                print(
                    f"round {number + 1} of {chosen.rounds}: {server.name}: ",
                    end="",
                    file=sys.stderr,
                    flush=True,
                )
                try:
                    row = one_round(server, workload, number + 1 == chosen.rounds)
                except Unavailable as error:
                    reasons[server.name] = str(error)
                    print(error, file=sys.stderr)
                else:
                    rows[server.name].append(row)
                    print(
                        f"{row['best_per_s']:.1f} images/s, lone {row['lone_p50_ms']:.1f} ms", file=sys.stderr
                    )
                    if server.is_peer and server.name not in versions:
                        versions[server.name] = versions_of(server)
                results = {
                    "machine": facts,
                    "minutes": round((time.monotonic() - began) / 60, 1),
                    "rounds": number + 1,
                    "seconds": chosen.seconds,
                    "concurrency": sorted(chosen.concurrency),
                    "pictures": len(workload.pictures),
                    "servers": [
                        {
                            "name": each.name,
                            "is_peer": each.is_peer,
                            "setting": each.setting,
                            "versions": versions.get(each.name, {}),
                            "unavailable": reasons.get(each.name)
                            or next((row.get("extras_unavailable") for row in rows[each.name][-1:]), None),
                            "rounds": rows[each.name],
                        }
                        for each in taken
                    ],
                }
                keep(results)
    return results
