"""bench/README.md from the numbers in bench/results/; a program that measured calls `write`.

python -m bench.page        # anew from the results that are there
"""

import json
from collections.abc import Callable
from pathlib import Path

from bench.agreement_page import agreement_section
from bench.figures import Row
from bench.gpu_page import gpu_section
from bench.peers_page import peers_section
from bench.plots import draw_peers, draw_server
from bench.server_page import server_section

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"

HEAD = """\
# How fast

Written by `make bench`, `make bench-peers` and `make bench-agreement` (`make bench-page` writes it anew from results/*.json); do not edit.
The other programs here print: `make bench-quick`, `make bench-overload`, `make bench-bound`, `make bench-explain`, `make bench-threads`,
`make bench-decoding`, `make bench-cores`, `make bench-drawing`.
"""
SECTIONS: tuple[tuple[str, Callable[[Row], str], Callable[[Row, Path], None] | None], ...] = (
    ("peers*.json", peers_section, draw_peers),
    ("server*.json", server_section, draw_server),
    ("agreement*.json", agreement_section, None),
    ("gpu*.json", gpu_section, None),
)
"""Results of other machines lie beside those of `make bench` under names of their own, such as peers-amx.json."""


def write(file: Path, results: Row) -> None:
    """Numbers into `file`; the page too, where it is one that the page is made of."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(_rounded(results), indent=1) + "\n", "utf-8")
    if file.resolve().parent == RESULTS:
        write_page()


def write_page() -> None:
    """README.md and its plots."""
    for pattern, _, draw in SECTIONS:
        for file in RESULTS.glob(pattern):
            if draw is not None:
                draw(json.loads(file.read_text("utf-8")), file.with_suffix(".svg"))
    (HERE / "README.md").write_text(page_text(), "utf-8")


def page_text() -> str:
    """README.md, of all the results that are there."""
    parts = [HEAD]
    for pattern, section, _ in SECTIONS:
        for file in sorted(RESULTS.glob(pattern)):
            plot = file.with_suffix(".svg").name
            parts.append(section({**json.loads(file.read_text("utf-8")), "plot": f"results/{plot}"}))
    return "\n".join(parts)


def _rounded(value: object) -> object:
    """Six digits are more than a clock tells."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {str(key): _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value


if __name__ == "__main__":
    write_page()
