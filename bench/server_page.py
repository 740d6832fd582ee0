"""results/server.json -> the part of bench/README.md about this server alone."""

from collections.abc import Sequence

from bench.explain import PREDICT, of_predict
from bench.figures import Row, Spread, kind_of_cpu, over_rounds, setting_line, table


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
        if finished := [server for server in measured if server["rounds"][-1]["extras"]]:
            parts.append(_extras_table(finished, cores))
    if missing := [server for server in results["servers"] if server["unavailable"]]:
        parts.append(
            "Not measured, or not to the end:\n\n"
            + "\n".join(f"- {server['name']}: {server['unavailable']}" for server in missing)
        )
    return "\n\n".join(parts) + "\n"


def _table(measured: Sequence[Row], cores: int, concurrency: Sequence[int]) -> str:
    def of(server: Row) -> list[str]:
        rounds = server["rounds"]

        def number(value: object, digits: int = 1) -> str:
            spread: Spread = over_rounds(rounds, value)  # type: ignore[arg-type]
            return spread.text(digits)

        sizes = rounds[0]["stages"]["engine"]
        agreed = [row["agreement"] for row in rounds]
        has_turns = "in_turn" in rounds[0]["stages"]  # results of before 2026-11-27 have none
        return [
            number(lambda row: row["stages"]["decode"]["cpu_ms"], 2),
            number(lambda row: row["stages"]["geometry"]["cpu_ms"], 2),
            *(number(lambda row, at=size: row["stages"]["engine"][at]["cpu_ms"]) for size in sizes),
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

    sizes = measured[0]["rounds"][0]["stages"]["engine"]
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
"""By name in the results: ten times the capacity, by the kind of client."""
_FLOOD_NAMES = [
    ": capacity before and after, images/s",
    ": answered with 200 at ten times that, of capacity",
    ": the same, of the capacity that the client leaves",
    ": p99 of those, by the client's clock, of the deadline",
    ": refused with 503 after, ms (p50 / p99)",
    ": the same without the first two seconds, in which the queue fills",
    ": with Retry-After",
    ": other ends (0: the connection broke)",
    ": next request",
    ": memory, MiB",
    ": client's share of a core",
]


def _flood_cells(flood: Row, cores: int) -> list[str]:
    answers = flood["by_status"]
    accepted, refused = answers.get("200"), answers.get("503")
    later = flood.get("refused_once_full")  # results of before 2026-11-29 do not know
    others = {code: answer["count"] for code, answer in answers.items() if code not in {"200", "503"}}
    before, after = flood["memory_mib"]
    return [
        f"{flood['capacity_per_s']:.1f}",
        f"{flood['goodput']:.2f}",
        f"{flood['goodput'] / (1 - flood['client_share'] / cores):.2f}",
        "-" if accepted is None else f"{accepted['p99_ms'] / flood['deadline_ms']:.2f}",
        "-" if refused is None else f"{refused['p50_ms']:.1f} / {refused['p99_ms']:.1f}",
        "-" if later is None else f"{later['p50_ms']:.1f} / {later['p99_ms']:.1f}",
        "-" if refused is None else f"{flood['refused_with_retry_after']:.0%} of {refused['count']}",
        ", ".join(f"{code}: {count}" for code, count in others.items()) or "none",
        f"{flood['next_status']} after {flood['next_ms']:.0f} ms",
        f"{before:.0f} -> {after:.0f}",
        f"{flood['client_share']:.2f}",
    ]


def _extras_table(measured: Sequence[Row], cores: int) -> str:
    # Results of before 2026-11-29 have no kept connections.
    floods = {name: title for name, title in _FLOODS.items() if name in measured[0]["rounds"][-1]["extras"]}

    def of(server: Row) -> list[str]:
        extras = server["rounds"][-1]["extras"]
        explained = extras["explain"]
        kind = next(name for name in explained if name != PREDICT)
        return [
            of_predict(explained, kind, "per_s").text(2),
            of_predict(explained, kind, "server_cpu_ms").text(2),
            *(cell for name in floods for cell in _flood_cells(extras[name], cores)),
            f"{extras['idle_share'] * 100:.2f}",
            f"{extras['rss_mib']:.0f} after {extras['requests']}",
        ]

    names = [
        "/explain as JPEG, images/s of /predict's",
        "/explain as JPEG, CPU time of /predict's",
        *(f"{title}{of_it}" for title in floods.values() for of_it in _FLOOD_NAMES),
        "idle, % of a core",
        "resident memory, MiB, after requests",
    ]
    return table(("", *(server["name"] for server in measured)), zip(names, *map(of, measured), strict=True))
