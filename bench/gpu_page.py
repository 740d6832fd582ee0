"""results/gpu.json -> the part of bench/README.md that shows a CUDA device."""

from bench.figures import Row, setting_line, table


def gpu_section(results: Row) -> str:
    """Markdown; HTTP where it was measured."""
    engine = table(
        ("precision", "batch", "one at a time, ms", "images/s", "at the floor", "share of it"),
        [
            [
                row["precision"],
                str(row["size"]),
                f"{row['lone_ms']:.2f}",
                f"{row['per_s']:,.0f}",
                f"{row['floor_per_s']:,.0f}",
                f"{row['per_s'] / row['floor_per_s']:.0%}",
            ]
            for row in results["engine"]
        ],
    )
    agreement = table(
        ("precision", "same class as torch float32 on the CPU", "largest difference of a probability"),
        [
            [
                row["precision"],
                f"{row['same_class']} of {row['pictures']}",
                f"{row['largest_probability_difference']:.1e}",
            ]
            for row in results["agreement"]
        ],
    )
    parts = [
        "## On a CUDA device",
        f"{setting_line(results)} {results['machine']['gpu']}.",
        "ResNet-50, 224 x 224, from uint8 pictures on the host to logits and evidence on the host. The floor is 8.2 billion "
        "operations a picture at the rate of an 8192 x 8192 x 8192 product in the same precision on this device.",
        engine,
        agreement,
    ]
    if loops := results.get("http"):
        parts += [
            "Over HTTP, `lineside serve` as one process and the client on the same cores; 768 x 574 JPEG:",
            table(
                (
                    "LINESIDE_PRECISION",
                    "concurrency",
                    "images/s",
                    "p50, ms",
                    "p99, ms",
                    "server CPU, ms an image",
                ),
                [
                    [
                        precision,
                        concurrency,
                        f"{row['per_s']:,.0f}",
                        f"{row['p50_ms']:.1f}",
                        f"{row['p99_ms']:.1f}",
                        f"{row['server_cpu_ms']:.2f}",
                    ]
                    for precision, rows in loops.items()
                    for concurrency, row in rows.items()
                ],
            ),
        ]
    return "\n\n".join(parts) + "\n"
