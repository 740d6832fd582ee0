"""A browser's fonts: those of the machine, and the package's own, so that Korean is read wherever a page is drawn."""

import os
from pathlib import Path
from typing import Final

FONTS: Final = Path(__file__).parents[1] / "images" / "fonts"
CONFIGURATION: Final = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir>{fonts}</dir>
</fontconfig>
"""


def with_own_fonts(folder: Path) -> dict[str, str | float | bool]:
    """The environment of a browser that finds them, as Playwright takes it; the configuration is written into `folder`."""
    file = folder / "fonts.conf"
    file.write_text(CONFIGURATION.format(fonts=FONTS), "utf-8")
    return {**os.environ, "FONTCONFIG_FILE": str(file)}
