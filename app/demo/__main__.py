"""`python -m app.demo`: what `make demo-model` does before and after `lineside finetune`.

paint FOLDER -> class folders of paintings; accept BUNDLE PLACE -> measured, its card written, put in its place
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from app.demo.acceptance import MAX_BYTES, REQUIRED, accept
from app.demo.painted_folder import paint_folder, painted_files
from app.errors import LinesideError


def main() -> int:
    """1 when the new model is not good enough."""
    parser = argparse.ArgumentParser(prog="python -m app.demo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    paint = commands.add_parser("paint", help="write the paintings that are not there yet")
    paint.add_argument("folder", type=Path)
    accepting = commands.add_parser("accept", help="measure a new demo model and put it in its place")
    accepting.add_argument("bundle", type=Path)
    accepting.add_argument("place", type=Path)
    given = parser.parse_args()
    console = Console(highlight=False)
    if given.command == "paint":
        files = painted_files()
        done = paint_folder(given.folder, files)
        for _ in track(done, "painting", total=len(files) + 1, console=console, transient=True):
            pass
        return 0
    try:
        accepted = accept(given.bundle, given.place)
    except LinesideError as error:
        console.print(error.message, style="red")
        return 1
    table = Table("measured on unused seeds", "", "required")
    table.add_row("pictures", f"{accepted.score.count}", "")
    table.add_row("accuracy", f"{accepted.score.accuracy:.1%}", f">= {REQUIRED.accuracy:.0%}")
    table.add_row("pointing game", f"{accepted.score.pointing:.1%}", f">= {REQUIRED.pointing:.0%}")
    table.add_row("bundle", f"{accepted.byte_count / 1e6:.2f} MB", f"<= {MAX_BYTES / 1e6:.1f} MB")
    console.print(table)
    console.print(f"wrote {given.place}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
