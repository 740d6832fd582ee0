"""The commands and their options; what they do is beside, in a file each."""

from pathlib import Path
from typing import Annotated

import typer

from app import __version__
from app.cli.ending import ending_in_order
from app.cli.making import making
from app.cli.measuring import measuring
from app.cli.shared_options import Device, Repository
from app.cli.training import training
from app.explain.sentence import Language

app = typer.Typer(
    name="lineside",
    help="Serves fine-tuned image classifiers beside a production line, and shows their evidence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(making)
app.add_typer(training)
app.add_typer(measuring)


def main() -> None:
    """Run the command line; errors that we know are one line and exit code 1."""
    with ending_in_order():
        app()


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"lineside {__version__}")
        raise typer.Exit


@app.command()
def serve(
    models: Repository = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [default 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one [default 8000]")] = None,
    device: Device = None,
    log_format: Annotated[str | None, typer.Option(help="json or text [default json]")] = None,
) -> None:
    """Serve every bundle of the model repository over HTTP. All settings: docs/configuration.md."""
    from app.cli.serve import run_server  # noqa: PLC0415 - so that --help does not wait for torch
    from app.settings import load_settings  # noqa: PLC0415

    run_server(
        load_settings(model_repository=models, host=host, port=port, device=device, log_format=log_format)
    )


@app.command()
def predict(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, or folders of pictures", exists=True)],
    model: Annotated[str | None, typer.Option(help="Name; needed where the repository holds several")] = None,
    version: Annotated[int | None, typer.Option(help="Version [default: the highest]")] = None,
    out: Annotated[
        Path, typer.Option(help="Folder for predictions.csv, summary.json and overlays/")
    ] = Path(),
    overlays: Annotated[
        bool, typer.Option("--overlays", help="Also draw the evidence on every picture.")
    ] = False,
    models: Repository = None,
    device: Device = None,
) -> None:
    """Score pictures without a server, through the same service.

    Where the pictures' folders are the model's class names, summary.json has the accuracy, macro F1 and the
    confusion matrix. A picture that cannot be read is listed in predictions.csv; the exit code is then 1.
    """
    from app.cli.predict import run_predict  # noqa: PLC0415
    from app.settings import load_settings  # noqa: PLC0415

    settings = load_settings(model_repository=models, device=device, log_format="text", log_level="warning")
    failed = run_predict(settings, paths, model=model, version=version, out=out, with_overlays=overlays)
    if failed:
        raise typer.Exit(1)


@app.command()
def explain(
    folder: Annotated[
        Path,
        typer.Argument(help="Pictures; class folders in it give the truth", exists=True, file_okay=False),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(help="models/NAME/1, or NAME in the model repository; again for each model to compare"),
    ] = None,
    out: Annotated[Path, typer.Option(help="The report, one HTML file")] = Path("report.html"),
    json: Annotated[
        Path | None, typer.Option("--json", help="All numbers [default: explanations.json beside the report]")
    ] = None,
    layers: Annotated[
        str | None, typer.Option(help="all, or names with commas between: also draw the maps of these depths")
    ] = None,
    max_pictures: Annotated[
        int,
        typer.Option(help="At most so many are drawn, chosen evenly; the figures count all", min=1, max=500),
    ] = 60,
    language: Annotated[Language, typer.Option(help="Of the report")] = "en",
    models: Repository = None,
    device: Device = None,
) -> None:
    """Show over a folder of pictures what one model, or several beside each other, answers and why.

    One self-contained HTML file that also prints well: right and wrong ones apart, the maps with their regions, a
    sentence and a cover check each, the confusion matrix, and where each model looks. A picture that cannot be read
    is listed; the exit code is then 1.
    """
    from app.cli.explain import ExplainOptions, run_explain  # noqa: PLC0415
    from app.settings import load_settings  # noqa: PLC0415

    options = ExplainOptions(
        folder=folder,
        models=tuple(model or ()),
        out=out,
        numbers=json,
        layers=layers,
        max_pictures=max_pictures,
        language=language,
    )
    settings = load_settings(model_repository=models, device=device, log_format="text", log_level="warning")
    if run_explain(settings, options):
        raise typer.Exit(1)


@app.command("import")
def import_(
    checkpoint: Annotated[Path, typer.Argument(help="A weight file or a model folder, of any known format")],
    out: Annotated[
        Path | None, typer.Option(help="models/NAME (takes the next free version) or models/NAME/3")
    ] = None,
    architecture: Annotated[str | None, typer.Option(help="Where several fit")] = None,
    classes: Annotated[str | None, typer.Option(help="a,b,c in the order of the outputs")] = None,
    classes_from: Annotated[
        Path | None,
        typer.Option(
            help="A training folder: its subfolders, sorted as ImageFolder does; or a file: class_to_idx or names as JSON, "
            "or one name a line"
        ),
    ] = None,
    preprocess: Annotated[
        str | None, typer.Option(help="imagenet, carcass, or a TOML file with a [preprocess] table")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Pictures for the golden images; at most 16 are taken")
    ] = None,
    take: Annotated[str | None, typer.Option(help="Which of several networks in the file")] = None,
    head: Annotated[str | None, typer.Option(help="Which module follows the pooling")] = None,
    head_activation: Annotated[
        str | None,
        typer.Option(
            help="relu or none: what stands between the head's linear layers; or at which positions ReLU stands, such as 3,6"
        ),
    ] = None,
    head_pooling: Annotated[
        str | None, typer.Option(help="max-average or average-max: two poolings before the head")
    ] = None,
    transform_input: Annotated[
        str | None, typer.Option(help="on or off: Inception v3 and GoogLeNet of torchvision")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Turn a checkpoint into a bundle that has proved itself. Reads it as data; nothing in it is run.

    Exit code 0: imported (or, with --dry-run, nothing stands in the way); 1: refused; 2: a question, with the
    option that answers it.
    """
    from app.cli.import_options import Options  # noqa: PLC0415
    from app.cli.importing import run_import  # noqa: PLC0415

    options = Options(
        checkpoint=checkpoint,
        out=out,
        architecture=architecture,
        classes=classes,
        classes_from=classes_from,
        preprocess=preprocess,
        images=images,
        take=take,
        head=head,
        head_activation=head_activation,
        head_pooling=head_pooling,
        transform_input=transform_input,
        is_dry_run=dry_run,
    )
    exit_code = run_import(options, as_json=as_json)
    if exit_code:
        raise typer.Exit(exit_code)


@app.command()
def verify(
    bundle: Annotated[
        str, typer.Argument(help="models/NAME/1, or NAME in the model repository (newest version)")
    ],
    labelled: Annotated[
        Path | None, typer.Option(help="Class folders of pictures: accuracy, macro F1, confusion, mistakes")
    ] = None,
    models: Repository = None,
    device: Device = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Prove a bundle on this machine as the server does before it is ready, and show the evidence.

    Exit code 0: proved; 1: not, with the reason; 2: not asked, such as for a folder that is no class. What the
    labelled pictures say does not change it.
    """
    from app.cli.verify import run_verify  # noqa: PLC0415
    from app.settings import load_settings  # noqa: PLC0415

    settings = load_settings(model_repository=models, device=device, log_format="text", log_level="warning")
    exit_code = run_verify(settings, bundle, labelled=labelled, as_json=as_json)
    if exit_code:
        raise typer.Exit(exit_code)


@app.command("detect-preprocess")
def detect_preprocess(
    bundle: Annotated[
        str, typer.Argument(help="models/NAME/1, or NAME in the model repository (newest version)")
    ],
    labelled: Annotated[Path, typer.Option(help="Class folders of pictures; some tens are enough")],
    pictures: Annotated[int, typer.Option(help="At most so many, spread over the classes", min=1)] = 40,
    write: Annotated[
        bool, typer.Option("--write", help="Make the next version of the bundle with what was found.")
    ] = False,
    models: Repository = None,
    device: Device = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Tell from labelled pictures which preprocessing and which order of classes the model was trained with.

    Tries a few hundred plausible declarations. Exit code 0: nothing is better than the declared one; 1: another
    one is; 2: the pictures cannot settle it, or the command could not be carried out.
    """
    from app.cli.detect import DetectOptions, run_detect  # noqa: PLC0415
    from app.settings import load_settings  # noqa: PLC0415

    settings = load_settings(model_repository=models, device=device, log_format="text", log_level="warning")
    exit_code = run_detect(settings, DetectOptions(bundle, labelled, pictures, write), as_json=as_json)
    if exit_code:
        raise typer.Exit(exit_code)


@app.command("models")
def models_(
    models: Repository = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """List the bundles of the model repository; weights are not loaded."""
    from app.cli.listing import print_models  # noqa: PLC0415
    from app.settings import load_settings  # noqa: PLC0415

    if not print_models(load_settings(model_repository=models), as_json=as_json):
        raise typer.Exit(1)


@app.command()
def architectures(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """List the architectures that a manifest may name."""
    from app.cli.listing import print_architectures  # noqa: PLC0415

    print_architectures(as_json=as_json)


@app.command(hidden=True)
def configuration() -> None:
    """Print docs/configuration.md."""
    from app.cli.configuration import configuration_page  # noqa: PLC0415

    typer.echo(configuration_page(), nl=False)
