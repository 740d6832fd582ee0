"""`python -m app.demo`: paints carcasses and trains the demo model anew."""

import argparse
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from app.demo.recipe import REQUIRED, make_demo_model
from app.errors import LinesideError


def main() -> int:
    """Run the recipe and show the figures; 1 when the new model is not good enough."""
    parser = argparse.ArgumentParser(prog="python -m app.demo", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"), help="the model repository (./models)")
    repository: Path = parser.parse_args().models
    console = Console(highlight=False)
    try:
        made = make_demo_model(repository, partial(console.print, soft_wrap=True))
    except LinesideError as error:
        console.print(error.message, style="red")
        return 1
    table = Table("measured on unused seeds", "", "required")
    table.add_row("pictures", f"{made.score.count}", "")
    table.add_row("accuracy", f"{made.score.accuracy:.1%}", f">= {REQUIRED.accuracy:.0%}")
    table.add_row("pointing game", f"{made.score.pointing:.1%}", f">= {REQUIRED.pointing:.0%}")
    table.add_row("bundle", f"{made.byte_count / 1e6:.2f} MB", "<= 1.5 MB")
    table.add_row("time", f"{made.seconds:.0f} s", "< 300 s on two idle cores")
    console.print(table)
    console.print(f"wrote {made.folder}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
