"""The page's plots, SVG: the same results draw the same file."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.figures import Row, Spread, over_rounds
from bench.server_page import engine_cpu_ms, limit_per_s

OURS, THEIRS, GREY = "#0b6e4f", "#8fa3ad", "#444444"
STAGES = {"decode": "#c2571a", "geometry": "#e0a458", "engine": OURS}
# A white ground, since text and axes are dark and GitHub's page may be too; fixed ids keep the file the same.
mpl.rcParams.update(
    {"svg.hashsalt": "lineside", "svg.fonttype": "path", "font.size": 9, "figure.facecolor": "white"}
)


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})


def _bars(
    axes: Axes, names: list[str], spreads: list[Spread], colours: list[str], title: str, digits: int
) -> None:
    """Medians, with a line from the lowest to the highest round."""
    middles = [spread.median for spread in spreads]
    errors = [
        [spread.median - spread.lowest for spread in spreads],
        [spread.highest - spread.median for spread in spreads],
    ]
    axes.barh(names, middles, xerr=errors, color=colours, error_kw={"ecolor": GREY, "lw": 1})
    for place, spread in enumerate(spreads):
        axes.annotate(
            f"{spread.median:.{digits}f}",
            (spread.highest, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_title(title, loc="left", fontsize=10)
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)


def draw_peers(results: Row, file: Path) -> None:
    """Images a second and the lone request, every server."""
    measured = sorted(
        (server for server in results["servers"] if server["rounds"]),
        key=lambda server: -over_rounds(server["rounds"], lambda row: row["best_per_s"]).median,
    )
    if not measured:
        return
    names = [server["name"] for server in measured]
    colours = [THEIRS if server["is_peer"] else OURS for server in measured]
    figure = Figure(figsize=(10, 1.0 + 0.32 * len(names)), layout="constrained")
    speed, lone = figure.subplots(1, 2, sharey=True)
    best = [over_rounds(server["rounds"], lambda row: row["best_per_s"]) for server in measured]
    alone = [over_rounds(server["rounds"], lambda row: row["lone_p50_ms"]) for server in measured]
    _bars(speed, names, best, colours, "images/s at the best concurrency (more is better)", 1)
    _bars(lone, names, alone, colours, "p50 of a lone request, ms (less is better)", 0)
    speed.invert_yaxis()  # and with it the other's
    _save(figure, file)


def draw_server(results: Row, file: Path) -> None:
    """Throughput over concurrency below its limit, and what an image costs."""
    measured = [server for server in results["servers"] if server["rounds"]]
    if not measured:
        return
    concurrency, cores = results["concurrency"], results["machine"]["cores"]
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    speed, cost = figure.subplots(1, 2)
    for server in measured:
        spreads = [
            over_rounds(server["rounds"], lambda row, at=str(many): row["loops"][at]["per_s"])
            for many in concurrency
        ]
        (line,) = speed.plot(
            concurrency, [spread.median for spread in spreads], marker="o", label=server["name"]
        )
        speed.fill_between(
            concurrency,
            [spread.lowest for spread in spreads],
            [spread.highest for spread in spreads],
            color=line.get_color(),
            alpha=0.2,
            lw=0,
        )
        limit = over_rounds(server["rounds"], lambda row: limit_per_s(row, cores)).median
        speed.axhline(limit, color=line.get_color(), ls="--", lw=1)
    speed.set_xscale("log", base=2)
    speed.set_xticks(concurrency, [str(many) for many in concurrency])
    speed.set_ylim(bottom=0)
    speed.set_xlabel("concurrency")
    speed.set_title("images/s; dashed: the limit by the stages' CPU time", loc="left", fontsize=10)
    speed.legend(frameon=False)
    speed.spines[["top", "right"]].set_visible(False)
    names = [server["name"] for server in measured]
    left = [0.0] * len(names)
    for stage, colour in STAGES.items():
        widths = [
            over_rounds(
                server["rounds"],
                lambda row, of=stage: engine_cpu_ms(row) if of == "engine" else row["stages"][of]["cpu_ms"],
            ).median
            for server in measured
        ]
        cost.barh(names, widths, left=left, color=colour, label=stage)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    cost.invert_yaxis()
    cost.set_title("CPU ms an image, each stage alone", loc="left", fontsize=10)
    cost.legend(frameon=False)
    cost.spines[["top", "right"]].set_visible(False)
    _save(figure, file)
