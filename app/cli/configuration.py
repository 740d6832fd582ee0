"""docs/configuration.md, generated from settings.py so that it cannot drift."""

import json
from pathlib import Path
from typing import Any

from app.settings import PREFIX, Settings

HEAD = """# Configuration

Every setting is an environment variable; lists and tables are written as JSON. `lineside serve` takes the
first few as options too. An unknown `LINESIDE_` variable, in whatever case, is refused with the nearest known names; one that
is empty counts as not set. `lineside tune` measures engine, precision, threads, batch sizes and queue on the machine itself
and writes them as a file: [speed.md](speed.md). With docker compose they are written into `settings.env`: [container.md](container.md).

<!-- Generated from app/settings.py by `make docs`; a test keeps it true. -->

| variable | default | meaning |
| --- | --- | --- |
"""


def configuration_page() -> str:
    """The whole page, Markdown."""
    rows = []
    for name, field in Settings.model_fields.items():
        meaning = " ".join((field.description or "").split())
        rows.append(
            f"| `{PREFIX}{name.upper()}` | {_shown(field.get_default(call_default_factory=True))} | {meaning} |"
        )
    return HEAD + "\n".join(rows) + "\n"


def _shown(default: Any) -> str:
    if default is None:
        return "unset"
    if isinstance(default, str | Path):
        return f"`{default}`"
    return f"`{json.dumps(default)}`"
