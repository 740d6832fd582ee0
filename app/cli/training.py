"""The command that trains: finetune."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.shared_options import Device

training = typer.Typer()


@training.command()
def finetune(
    folder: Annotated[
        Path | None, typer.Argument(help="Holds a folder for each class, or train/, val/ and test/ of such")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="models/NAME (takes the next free version) or models/NAME/3")
    ] = None,
    architecture: Annotated[str | None, typer.Option(help="`lineside architectures` lists them")] = None,
    start: Annotated[
        str | None,
        typer.Option(help="imagenet (fetched), none, or a weight file or bundle [default imagenet]"),
    ] = None,
    freeze: Annotated[str | None, typer.Option(help="head, layer4, gradual or none [default none]")] = None,
    preprocess: Annotated[
        str | None, typer.Option(help="imagenet, carcass, or a TOML file with a [preprocess] table")
    ] = None,
    augmentation: Annotated[
        str | None, typer.Option(help="none, carcass, cats-and-dogs, posture or digits")
    ] = None,
    group_by: Annotated[
        str | None, typer.Option(help="none, day, camera or a regular expression on the path")
    ] = None,
    epochs: Annotated[int | None, typer.Option()] = None,
    batch_size: Annotated[int | None, typer.Option()] = None,
    learning_rate: Annotated[float | None, typer.Option()] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    device: Device = None,
    config: Annotated[Path | None, typer.Option(help="TOML; the options stand over it")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Any key of the file: training.epochs=30")
    ] = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the whole configuration and train nothing.")
    ] = False,
    work: Annotated[
        Path | None, typer.Option(help="Where an interrupted training waits [default models/.training-NAME]")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Throw an interrupted training away.")] = False,
    tensorboard: Annotated[Path | None, typer.Option(help="Folder for event files")] = None,
    language: Annotated[str | None, typer.Option(help="Of the report: en or ko [default en]")] = None,
) -> None:
    """Train a network on a folder of photographs and make a bundle of it that has proved itself.

    Interrupted at any moment, the same command goes on. docs/finetuning.md has examples.
    """
    from app.cli.finetune import Options, print_configuration, run_finetune  # noqa: PLC0415

    values = {
        "architecture": architecture,
        "start": start,
        "seed": seed,
        "training.freeze": freeze,
        "augmentation.preset": augmentation,
        "data.group_by": group_by,
        "training.epochs": epochs,
        "training.batch_size": batch_size,
        "optimiser.learning_rate": learning_rate,
        "machine.device": device,
        "outputs.language": language,
    }
    options = Options(
        folder=folder,
        out=out,
        config=config,
        values=values,
        settings=settings or (),
        preprocess=preprocess,
        work=work,
        restart=restart,
        tensorboard=tensorboard,
    )
    if print_config:
        typer.echo(print_configuration(options), nl=False)
        return
    run_finetune(options)
