"""The system's Chromium, with the machine's fonts and the package's own: Korean is read wherever a page is drawn."""

import os
import shutil
from pathlib import Path
from typing import Final

CHROMIUM: Final = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
"""None: there is none."""
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
