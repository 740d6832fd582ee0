"""The commands that measure: evaluate and audit by labelled pictures, tune by the clock."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.shared_options import Device, Repository

measuring = typer.Typer()
GroupBy = Annotated[
    str,
    typer.Option(
        help="What belongs together, such as the views of one animal: none, day, camera, or a regular expression on the "
        "name below the folder"
    ),
]


@measuring.command()
def evaluate(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="BUNDLE [BUNDLE2] FOLDER", help="One or two bundles, and class folders of pictures"
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for evaluation.html, evaluation.json and predictions.csv")
    ] = Path("evaluation"),
    language: Annotated[Literal["en", "ko"], typer.Option(help="Of the page")] = "en",
    max_damaged: Annotated[
        float, typer.Option(help="Share of pictures that may be unreadable", min=0, max=1)
    ] = 0.05,
    mistakes: Annotated[int, typer.Option(help="How many are drawn, the surest first", min=0, max=200)] = 12,
    painted: Annotated[
        int, typer.Option(help="Pictures in which ink and backdrop are painted over; 0: none", min=0)
    ] = 100,
    group_by: GroupBy = "none",
    prevalence: Annotated[
        list[str] | None,
        typer.Option(
            help="CLASS=SHARE for each class: how often it comes on the line, as shares, per cent or counts; adds the precision there"
        ),
    ] = None,
    models: Repository = None,
    device: Device = None,
) -> None:
    """Measure one bundle, or compare two, on labelled pictures: through the server's own engine, as a page that prints.

    Accuracy and macro F1 with intervals, confusion, calibration, the worst mistakes with their maps, the shortcut
    audit, and McNemar's test between two bundles.
    """
    from app.cli.evaluate import EvaluateOptions, run_evaluate  # noqa: PLC0415
    from app.settings import load_settings  # noqa: PLC0415

    if len(arguments) not in {2, 3}:
        raise typer.BadParameter("give one or two bundles, and then the folder of pictures")
    settings = load_settings(model_repository=models, device=device, log_format="text", log_level="warning")
    *bundles, folder = arguments
    run_evaluate(
        settings,
        EvaluateOptions(
            bundles,
            Path(folder),
            out,
            language,
            max_damaged,
            mistakes,
            painted,
            group_by,
            tuple(prevalence or ()),
        ),
    )


@measuring.command()
def audit(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[BUNDLE] FOLDER", help="Class folders of pictures, and perhaps a bundle to ask"
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Folder for audit.html and audit.json")] = None,
    language: Annotated[Literal["en", "ko"], typer.Option(help="Of the sentences")] = "en",
    max_damaged: Annotated[
        float, typer.Option(help="Share of pictures that may be unreadable", min=0, max=1)
    ] = 0.05,
    painted: Annotated[
        int, typer.Option(help="Pictures in which ink and backdrop are painted over; 0: none", min=0)
    ] = 100,
    group_by: GroupBy = "none",
    models: Repository = None,
    device: Device = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Tell whether day, camera or file instead of the animal tell the classes apart, and whether a bundle uses them."""
    from app.cli.audit import AuditOptions, run_audit  # noqa: PLC0415
    from app.settings import load_settings  # noqa: PLC0415

    if len(arguments) not in {1, 2}:
        raise typer.BadParameter("give the folder of pictures, and before it perhaps a bundle")
    settings = load_settings(model_repository=models, device=device, log_format="text", log_level="warning")
    bundle = arguments[0] if len(arguments) == 2 else None
    options = AuditOptions(bundle, Path(arguments[-1]), out, language, max_damaged, painted, group_by)
    run_audit(settings, options, as_json=as_json)


@measuring.command()
def tune(
    bundle: Annotated[
        str, typer.Argument(help="models/NAME/1, or NAME in the model repository (newest version)")
    ],
    images: Annotated[
        Path | None,
        typer.Option(help="Pictures to measure decoding with [default: the golden images]", exists=True),
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="How long to measure; building the engines comes before", min=1, max=3600)
    ] = 60,
    out: Annotated[Path, typer.Option(help="The settings, as a file of environment variables")] = Path(
        "lineside.env"
    ),
    plot: Annotated[Path, typer.Option(help="Latency and images/s against batch size, SVG")] = Path(
        "tune.svg"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace these files where they are there.")] = False,
    models: Repository = None,
    device: Device = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Measure every engine, precision, number of threads and batch size for a bundle here, and write the best settings.

    Through the server's own engines; a precision whose golden images do not hold is measured and never recommended.
    docs/speed.md says how to read the table.
    """
    from app.cli.tune import TuneOptions, run_tune  # noqa: PLC0415
    from app.settings import load_settings  # noqa: PLC0415

    settings = load_settings(model_repository=models, device=device, log_format="text", log_level="warning")
    run_tune(settings, TuneOptions(bundle, images, seconds, out, plot, force), as_json=as_json)
