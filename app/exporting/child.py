"""`python -m app.exporting.child BUNDLE FOLDER`: an export in a process of its own.

So the server never imports torch, whose CUDA build alone holds 490 MB. Prints the reason where it fails.
"""

import sys
from pathlib import Path

from app.bundles.repository import open_bundle
from app.errors import BundleRefused, ExportFailed
from app.exporting import FAILED, REFUSED
from app.exporting.export import export_bundle


def main() -> int:
    """Exit code."""
    bundle, folder = (Path(argument) for argument in sys.argv[1:3])
    try:
        export_bundle(open_bundle(bundle), folder)
    except ExportFailed as error:
        sys.stdout.write(error.message)
        return FAILED
    except BundleRefused as error:
        sys.stdout.write(error.message)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
