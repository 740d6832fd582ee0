"""results/agreement.json -> the part of bench/README.md that shows what every engine answers to real photographs."""

from bench.figures import Row, kind_of_cpu, setting_line, table


def agreement_section(results: Row) -> str:
    """Markdown."""
    rows = []
    has_cuda = any(
        row["engine"] == "cuda" and "unavailable" not in row
        for network in results["networks"]
        for row in network["rows"]
    )
    for network in results["networks"]:
        for row in network["rows"]:
            name = [network["name"], row["engine"], row["precision"]]
            if reason := row.get("unavailable"):
                rows.append([*name, reason, "-", "-"])
                continue
            rows.append(
                [
                    *name,
                    f"{row['same_class']} of {row['photographs']}",
                    f"{row['largest_probability_difference']:.1e}",
                    f"{row['largest_logit_difference']:.1e}",
                ]
            )
    has_int8 = any(row["precision"] == "int8" for network in results["networks"] for row in network["rows"])
    int8 = " int8 is what `lineside quantize` made of paintings; it was not shown the photographs."
    has_halves = any(row.get("ways", 1) > 1 for network in results["networks"] for row in network["rows"])
    halves = " Engines that also compute on halves of the cores were asked on each; the worst counts."
    head = (
        "network", "engine", "precision", "same class as torch float32", "largest difference of a probability",
        "of a logit, as a share of the largest",
    )  # fmt: skip
    return (
        "\n\n".join(
            [
                f"## The same answers, on {kind_of_cpu(results)}{' and a CUDA device' if has_cuda else ''}",
                setting_line(results),
                "Real carcass photographs (TIFF, 768 x 574), which neither network was trained on: many are near a boundary, where "
                "a small difference shows most."
                + (int8 if has_int8 else "")
                + (halves if has_halves else ""),
                table(head, rows),
            ]
        )
        + "\n"
    )
