"""Colour maps as tables of 256 RGB colours; matplotlib itself is not needed.

inferno, viridis: S. van der Walt, N. Smith, matplotlib, CC0. cividis: Nuñez, Anderton, Renslow 2018,
doi:10.1371/journal.pone.0199239, CC0. Kept here is every fifth colour of matplotlib's tables; between them
lines are drawn, which differs from the originals by at most 1 (cividis: 4, in its darkest blues) of 255.
jet: the usual four ramps; here for people who expect it, not for its merits. diverging: blue for evidence
against, orange for evidence in favour: neither is lost on red meat or white fat, nor on most eyes.
"""

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Colormap = Literal["inferno", "viridis", "cividis", "jet"]

_INFERNO = (
    "00000402020c0504170a072210092d160b391e0c45260c512f0a5b380962400a67490b6a510e6c59106e61136e69166e"
    "71196e781c6d801f6c88226a902568982766a02a63a82e5fb0315bb73557bf3952c63d4dcc4248d34743d94d3ddf5337"
    "e45a31e9612bed6925f1711ff47918f78212f98b0bfa9407fb9d07fca60cfcb014fbba1ffac42af8cd37f6d746f4e156"
    "f2ea69f2f27df5f992fcffa4"
)
_VIRIDIS = (
    "44015446085c471063481769481d6f482475472a7a46307e453781433d844142873f48893d4e8a3a538b38598c355e8d"
    "33638d31688e2e6d8e2c718e2a768e297b8e27808e25848e23898e218e8d20928c1f978b1e9c891fa18821a58524aa83"
    "28ae802eb37c35b7793dbc7446c06f50c46a5ac86465cb5e70cf577cd25089d54895d840a2da37b0dd2fbddf26cae11f"
    "d8e219e5e419f1e51dfde725"
)
_CIVIDIS = (
    "00224e002656002a5f002d68003070083370163770203a6f273e6e2e416d34456c3a486c3f4c6c444f6c49536c4e566c"
    "535a6d575d6d5c616e60646f656870696b716d6f727272747676767a7a787e7d788381798885788d8878928c78969077"
    "9b9476a09875a59c74aaa073afa471b5a86fbaac6dbfb06bc4b468c9b965cfbd62d4c15fdac65bdfca57e5cf52ead34c"
    "f0d846f6dd3ffce236fee838"
)
# Equal steps from -1 to +1. Zero is transparent, so the middle needs no pale colour, which would look like fog.
_DIVERGING = "0038e01e6bff3f93ff5fb4ffffd05affb000ff8a00ee5200"


@cache
def color_table(name: Colormap | Literal["diverging"]) -> NDArray[np.uint8]:
    """(256, 3) uint8 RGB, from no evidence to most; diverging: from most against to most in favour.

    Read-only: every thread shares it.
    """
    if name == "jet":
        # Each channel is a trapezium of width 1 about its centre: red 3/4, green 1/2, blue 1/4.
        position = np.linspace(0.0, 1.0, 256)[:, None]
        ramps = 1.5 - 4.0 * np.abs(position - np.array([0.75, 0.5, 0.25]))
        colors = ramps.clip(0.0, 1.0) * 255
    else:
        control = np.frombuffer(bytes.fromhex(_CONTROL[name]), dtype=np.uint8).reshape(-1, 3)
        positions = np.linspace(0, 255, len(control))
        channels = [np.interp(np.arange(256), positions, control[:, channel]) for channel in range(3)]
        colors = np.stack(channels, axis=1)
    table: NDArray[np.uint8] = np.rint(colors).astype(np.uint8)
    table.flags.writeable = False
    return table


_CONTROL = {"inferno": _INFERNO, "viridis": _VIRIDIS, "cividis": _CIVIDIS, "diverging": _DIVERGING}
