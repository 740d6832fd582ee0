"""Lineside and its peers, interleaved in one run: the same weights, pictures, client and machine.

    make bench-peers            # or: python -m bench.peers --rounds 1 --seconds 3 --only 'Lineside torch float32' LitServe

Every server runs in an environment of its own under .bench/ (made on the first run) and answers the class
probabilities of one 768 x 574 JPEG; each answer is compared with torch float32 before anything is measured. Each
round starts every server once, in turn. Writes bench/results/peers.json and, from it, bench/README.md.
"""

from bench import page
from bench.measuring import measure
from bench.peers_page import peers_section
from bench.rounds import Results, interleaved, parser_for
from bench.servers import OURS, PEERS, Server
from bench.starting import running
from bench.workload import Workload

SERVERS = (*OURS, *PEERS)


def main() -> None:
    """Measure, write, print the table."""
    chosen = parser_for(__doc__ or "", SERVERS, page.RESULTS / "peers.json").parse_args()

    def one_round(server: Server, workload: Workload, _is_last: bool) -> Results:
        """Started, checked, measured, ended."""
        with running(server, workload) as started:
            return measure(
                started, workload, concurrency=chosen.concurrency, seconds=chosen.seconds
            ).as_json()

    results = interleaved(
        "bench.peers", chosen, SERVERS, one_round, lambda seen: page.write(chosen.results, seen)
    )
    print(peers_section(results))


if __name__ == "__main__":
    main()
