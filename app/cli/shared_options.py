"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Repository = Annotated[
    Path | None,
    typer.Option("--models", help="Model repository [env LINESIDE_MODEL_REPOSITORY; default models]"),
]
Device = Annotated[
    str | None, typer.Option(help="auto, cpu, cuda or cuda:N; `serve` also takes cuda:0,cuda:1")
]
