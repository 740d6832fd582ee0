"""The commands that make another form of a bundle's network: export and quantize."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.shared_options import Repository

making = typer.Typer()

Bundle = Annotated[
    str, typer.Argument(help="models/NAME/1, or NAME in the model repository (newest version)")
]
AsJson = Annotated[bool, typer.Option("--json", help="For scripts.")]


@making.command()
def export(bundle: Bundle, models: Repository = None, as_json: AsJson = False) -> None:
    """Write the network as OpenVINO runs it into the bundle, so that a server needs no torch; proved before it is there.

    A form that is there and whole is kept. Exit code 0: it is there and proved; 1: refused, with the reason; 2: no such
    bundle.
    """
    from app.cli.export import run_export  # noqa: PLC0415 - so that --help does not wait
    from app.settings import load_settings  # noqa: PLC0415

    settings = load_settings(model_repository=models, log_format="text", log_level="warning")
    exit_code = run_export(settings, bundle, as_json=as_json)
    if exit_code:
        raise typer.Exit(exit_code)


@making.command()
def quantize(
    bundle: Bundle,
    images: Annotated[
        Path, typer.Option(help="Pictures as the line's camera takes them; labels are not needed")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="models/NAME (takes the next free version) or models/NAME/3 [default: the next version]"
        ),
    ] = None,
    least_agreement: Annotated[
        float, typer.Option(help="Share of pictures that must get the class that float32 gives", min=0, max=1)
    ] = 0.99,
    largest_drift: Annotated[
        float, typer.Option(help="Largest accepted difference of any probability", min=0.0001, max=0.9999)
    ] = 0.1,
    calibration_images: Annotated[
        int, typer.Option(help="At most so many calibrate, and as many others compare", min=10, max=10_000)
    ] = 300,
    models: Repository = None,
    as_json: AsJson = False,
) -> None:
    """Make the next version of a bundle, computing in 8-bit integers on the CPU, if it answers as float32 does.

    Exit code 0: made and proved; 1: refused, and nothing was written; 2: the command could not be carried out.
    """
    from app.cli.quantize import QuantizeOptions, run_quantize  # noqa: PLC0415
    from app.settings import load_settings  # noqa: PLC0415
    from app.wiring.exports import Bounds  # noqa: PLC0415

    options = QuantizeOptions(bundle, images, out, Bounds(least_agreement, largest_drift), calibration_images)
    settings = load_settings(model_repository=models, log_format="text", log_level="warning")
    exit_code = run_quantize(settings, options, as_json=as_json)
    if exit_code:
        raise typer.Exit(exit_code)
