"""results/server.json -> the part of bench/README.md about this server alone."""

from collections import Counter
from collections.abc import Callable, Sequence

from bench.explain import PREDICT, of_predict
from bench.figures import Row, Spread, kind_of_cpu, over_rounds, setting_line, spread, table


def engine_cpu_ms(row: Row) -> float:
    """CPU milliseconds an image at the batch size that costs least."""
    return min(at["cpu_ms"] for at in row["stages"]["engine"].values())


def stages_cpu_ms(row: Row) -> float:
    """CPU milliseconds an image: decode, geometry, and the engine at its best."""
    stages = row["stages"]
    return stages["decode"]["cpu_ms"] + stages["geometry"]["cpu_ms"] + engine_cpu_ms(row)


def best_loop(row: Row) -> Row:
    """The concurrency with the most images a second."""
    return max(row["loops"].values(), key=lambda loop: loop["per_s"])


def limit_per_s(row: Row, cores: int) -> float:
    """Images a second, if the cores did nothing but the stages."""
    return cores * 1000 / stages_cpu_ms(row)


def limit_beside_client_per_s(row: Row, cores: int) -> float:
    """The same, with what the client takes of the same cores."""
    return cores * 1000 / (stages_cpu_ms(row) + best_loop(row)["client_cpu_ms"])


def alone_ms(row: Row) -> float:
    """Decode, geometry and the engine for one image, one after the other."""
    stages = row["stages"]
    return stages["decode"]["wall_ms"] + stages["geometry"]["wall_ms"] + stages["engine"]["1"]["wall_ms"]


def server_section(results: Row) -> str:
    """Markdown."""
    measured = [server for server in results["servers"] if server["rounds"]]
    cores = results["machine"]["cores"]
    parts = [
        f"## This server alone, on {kind_of_cpu(results)}",
        setting_line(results),
        f"A 768 x 574 JPEG, ResNet-50, three classes, the client a process of its own on the same {cores} cores. "
        f"{results['rounds']} rounds in turn, {results['seconds']:g} s at each concurrency: medians (lowest..highest round).",
    ]
    if measured:
        parts += [
            f"![]({results.get('plot', 'results/server.svg')})",
            _table(measured, cores, results["concurrency"]),
        ]
        parts.append(
            f"The limit is {cores} cores / (decode + geometry + engine at its best batch size), CPU times measured alone in the same "
            "round; beside the client, the client's own CPU time an answer is added. Rest: the server's CPU time less the "
            "stages'; below zero where batches cost less beside a load than alone."
        )
        if flooded := [server for server in measured if any(_floods_of(server, name) for name in _FLOODS)]:
            parts.append(_floods_table(flooded, cores))
        if finished := [server for server in measured if server["rounds"][-1]["extras"]]:
            parts.append(_extras_table(finished))
    if missing := [server for server in results["servers"] if server["unavailable"]]:
        parts.append(
            "Not measured, or not to the end:\n\n"
            + "\n".join(f"- {server['name']}: {server['unavailable']}" for server in missing)
        )
    return "\n\n".join(parts) + "\n"


def _table(measured: Sequence[Row], cores: int, concurrency: Sequence[int]) -> str:
    # Not every engine computes every size at a time.
    sizes = sorted({size for server in measured for size in server["rounds"][0]["stages"]["engine"]}, key=int)

    def of(server: Row) -> list[str]:
        rounds = server["rounds"]

        def number(value: object, digits: int = 1) -> str:
            spread: Spread = over_rounds(rounds, value)  # type: ignore[arg-type]
            return spread.text(digits)

        agreed = [row["agreement"] for row in rounds]
        has_turns = "in_turn" in rounds[0]["stages"]  # results of before 2026-11-27 have none
        return [
            number(lambda row: row["stages"]["decode"]["cpu_ms"], 2),
            number(lambda row: row["stages"]["geometry"]["cpu_ms"], 2),
            *(
                number(lambda row, at=size: row["stages"]["engine"][at]["cpu_ms"])
                if size in rounds[0]["stages"]["engine"]
                else "-"
                for size in sizes
            ),
            number(lambda row: row["stages"]["engine"]["1"]["wall_ms"]),
            number(lambda row: best_loop(row)["server_cpu_ms"] - stages_cpu_ms(row), 2),
            number(lambda row: best_loop(row)["client_cpu_ms"], 2),
            *(number(lambda row, at=str(many): row["loops"][at]["per_s"]) for many in concurrency),
            number(lambda row: limit_per_s(row, cores)),
            number(lambda row: row["best_per_s"] / limit_per_s(row, cores), 2),
            number(lambda row: row["best_per_s"] / limit_beside_client_per_s(row, cores), 2),
            number(lambda row: row["lone_p50_ms"]),
            number(lambda row: row["lone_p50_ms"] / alone_ms(row), 2),
            number(lambda row: row["stages"]["in_turn"]["wall_ms"]) if has_turns else "-",
            number(lambda row: row["lone_p50_ms"] / row["stages"]["in_turn"]["wall_ms"], 2)
            if has_turns
            else "-",
            f"{min(row['same_class'] for row in agreed)} of {agreed[0]['pictures']}, {max(row['max_difference'] for row in agreed):.1e}",
        ]

    names = [
        "decode, CPU ms",
        "geometry, CPU ms",
        *(f"engine, CPU ms an image in a batch of {size}" for size in sizes),
        "engine alone, ms for one image",
        "HTTP and the rest, CPU ms",
        "client, CPU ms an answer",
        *(f"images/s at concurrency {many}" for many in concurrency),
        "limit, images/s",
        "share of the limit",
        "share of the limit beside the client",
        "lone p50, ms",
        "of decode + geometry + engine, each alone and over and over",
        "the three in turn without a server, ms",
        "lone p50 of that",
        "same class as torch float32, largest difference of a probability",
    ]
    columns = [of(server) for server in measured]
    return table(("", *(server["name"] for server in measured)), zip(names, *columns, strict=True))


_FLOODS = {"overload": "overload, a connection each", "overload_kept": "overload, connections kept"}
"""By name in a round: ten times the capacity, by the kind of client."""
_FLOOD_NAMES = [
    ": capacity before and after, images/s",
    ": answered with 200 at ten times that, of capacity",
    ": the same, of the capacity that the client leaves",
    ": p99 of those, by the client's clock, of the deadline",
    ": refused with 503, p50 of a round, ms",
    ": p99",
    ": p99 without the first two seconds, in which the queue fills",
    ": with Retry-After",
    ": other ends (0: the connection broke)",
    ": next request",
    ": memory before, MiB",
    ": after",
    ": client's share of a core",
]


def _floods_of(server: Row, name: str) -> list[Row]:
    # Results of before 2026-11-29 have no kept connections, and one flood for all rounds.
    return [row[name] for row in server["rounds"] if name in row]


def _flood_cells(floods: Sequence[Row], cores: int) -> list[str]:
    if not floods:
        return ["-"] * len(_FLOOD_NAMES)

    def answers(of: Callable[[Row], Row | None], key: str, digits: int) -> str:
        found = [answer[key] for flood in floods if (answer := of(flood)) is not None]
        return spread(found).text(digits) if found else "-"

    def refused(flood: Row) -> Row | None:
        return flood["by_status"].get("503")

    def in_time(flood: Row) -> Row | None:
        accepted = flood["by_status"].get("200")
        return None if accepted is None else {"of_deadline": accepted["p99_ms"] / flood["deadline_ms"]}

    others = Counter[str]()
    for flood in floods:
        others.update({code: answer["count"] for code, answer in flood["by_status"].items()})
    refusals = others.pop("503", 0)
    others.pop("200", None)
    told = sum(
        flood["refused_with_retry_after"] * (refused(flood) or {"count": 0})["count"]
        for flood in floods
        if flood["refused_with_retry_after"] is not None
    )
    next_ms = over_rounds(floods, lambda flood: flood["next_ms"])
    return [
        over_rounds(floods, lambda flood: flood["capacity_per_s"]).text(),
        over_rounds(floods, lambda flood: flood["goodput"]).text(2),
        over_rounds(floods, lambda flood: flood["goodput"] / (1 - flood["client_share"] / cores)).text(2),
        answers(in_time, "of_deadline", 2),
        answers(refused, "p50_ms", 1),
        answers(refused, "p99_ms", 1),
        # Results of before 2026-11-29 do not know.
        answers(lambda flood: flood.get("refused_once_full"), "p99_ms", 1),
        f"{told / refusals:.0%} of {refusals}" if refusals else "-",
        ", ".join(f"{code}: {count}" for code, count in sorted(others.items())) or "none",
        f"{', '.join(sorted({str(flood['next_status']) for flood in floods}))} after {next_ms.text(0)} ms",
        over_rounds(floods, lambda flood: flood["memory_mib"][0]).text(0),
        over_rounds(floods, lambda flood: flood["memory_mib"][1]).text(0),
        over_rounds(floods, lambda flood: flood["client_share"]).text(2),
    ]


def _floods_table(flooded: Sequence[Row], cores: int) -> str:
    kinds = {
        name: title for name, title in _FLOODS.items() if any(_floods_of(each, name) for each in flooded)
    }
    names = [f"{title}{of_it}" for title in kinds.values() for of_it in _FLOOD_NAMES]
    columns = [
        [cell for name in kinds for cell in _flood_cells(_floods_of(server, name), cores)]
        for server in flooded
    ]
    return table(("", *(server["name"] for server in flooded)), zip(names, *columns, strict=True))


def _extras_table(measured: Sequence[Row]) -> str:
    def of(server: Row) -> list[str]:
        extras = server["rounds"][-1]["extras"]
        explained = extras["explain"]
        kind = next(name for name in explained if name != PREDICT)
        return [
            of_predict(explained, kind, "per_s").text(2),
            of_predict(explained, kind, "server_cpu_ms").text(2),
            f"{extras['idle_share'] * 100:.2f}",
            f"{extras['rss_mib']:.0f} after {extras['requests']}",
        ]

    names = [
        "/explain as JPEG, images/s of /predict's",
        "/explain as JPEG, CPU time of /predict's",
        "idle, % of a core",
        "resident memory, MiB, after requests",
    ]
    return table(("", *(server["name"] for server in measured)), zip(names, *map(of, measured), strict=True))
