"""Colours for evidence: tables of 256 RGB values.

Thirty-three control points each, joined by straight lines (within 2 of 255 of the originals for inferno and
viridis, 6 for cividis). Source: matplotlib 3.11's tables, which are CC0; `signed` runs between the ends of
ColorBrewer's RdBu; jet is the piecewise-linear original. Inferno, viridis and cividis get lighter all the
way, so that more evidence never looks like less; jet does not, and is here only by name.
"""

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Colormap = Literal["inferno", "viridis", "cividis", "jet"]

_CONTROL_POINTS = {
    "inferno": "000004 040312 0b0724 150b37 210c4a 2f0a5b 3d0965 4a0c6b 57106e 64156e 71196e 7d1e6d 8a226a 972766 "
    "a32c61 b0315b bc3754 c63d4d d04545 da4e3c e35933 eb6429 f1711f f67e14 f98c0a fb9b06 fcaa0f fbba1f f9c932 f5d949 "
    "f2e865 f3f586 fcffa4",
    "viridis": "440154 470d60 48186a 482374 472d7b 453781 424086 3e4989 3b528b 375b8d 33638d 2f6b8e 2c728e 297a8e "
    "26828e 23898e 21918c 1f978b 1f9f88 21a685 27ad81 31b57b 3dbc74 4cc26c 5cc863 6ece58 81d34d 95d840 aadc32 c0df25 "
    "d5e21a eae51a fde725",
    "cividis": "00224e 00285b 002e6a 053371 1a386f 273e6e 32436d 3b496c 434e6c 4b546c 535a6d 5a5f6e 61656f 686a71 "
    "6f7073 767676 7d7c78 838179 8b8778 928d78 9a9376 a29975 aaa073 b3a670 bbad6d c3b369 ccba64 d4c15f ddc858 e6d051 "
    "efd748 f8df3c fee838",
    "jet": "000080 0000ff 0080ff 00ffff 80ff80 ffff00 ff8000 ff0000 800000",
    # Against the class: blue; for it: red. The middle is drawn transparent anyway.
    "signed": "053061 2166ac 4393c3 92c5de f7f7f7 f4a582 d6604d b2182b 67001f",
}


@cache
def color_table(name: Literal["inferno", "viridis", "cividis", "jet", "signed"]) -> NDArray[np.uint8]:
    """(256, 3) RGB, from no evidence to the most; for `signed` from the most against to the most for."""
    points = np.array(
        [list(bytes.fromhex(point)) for point in _CONTROL_POINTS[name].split()], dtype=np.float64
    )
    at = np.linspace(0, 255, len(points))
    table = np.stack([np.interp(np.arange(256), at, points[:, channel]) for channel in range(3)], axis=1)
    colors: NDArray[np.uint8] = table.round().astype(np.uint8)
    colors.flags.writeable = False
    return colors
