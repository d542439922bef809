"""Colour maps that people with any colour vision can read, as lookup tables.

viridis and cividis are matplotlib's (CC0; cividis: Nunez, Anderton & Renslow, PLOS ONE 2018); rdbu and puor are
ColorBrewer's (Apache-2.0), turned so that positive values are warm. Stored as anchors with straight lines between.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

#: Light in the middle, for values with a sign: their range is symmetric about zero.
DIVERGING = frozenset({"rdbu", "puor"})

_ANCHORS: Mapping[str, str] = {
    "viridis": """
        440154 470d60 48186a 482374 472d7b 453781 424086 3e4989 3b528b 375b8d 33638d 2f6b8e 2c728e 297a8e 26828e
        23898e 21918c 1f988b 1fa088 22a785 28ae80 32b67a 3fbc73 4ec36b 5ec962 70cf57 84d44b 98d83e addc30 c2df23
        d8e219 ece51b fde725
    """,
    "cividis": """
        00224e 00285b 002e6a 053371 1a386f 273e6e 32436d 3b496c 434e6c 4b546c 535a6d 5a5f6e 61656f 686a71 6f7073
        767676 7d7c78 848279 8c8878 938e78 9b9476 a39a74 aba072 b4a76f bcae6c c4b468 cdbb63 d5c25e dec958 e7d150
        f0d846 f9e03a fee838
    """,
    "gray": """
        000000 ffffff
    """,
    "rdbu": """
        053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f
    """,
    "puor": """
        2d004b 542788 8073ac b2abd2 d8daeb f7f7f7 fee0b6 fdb863 e08214 b35806 7f3b08
    """,
}
NAMES = tuple(_ANCHORS)


def table(name: str, levels: int) -> NDArray[np.uint8]:
    """Colours from the lowest value to the highest: uint8 [levels, 3], RGB."""
    anchors = np.array([list(bytes.fromhex(colour)) for colour in _ANCHORS[name].split()], np.float64)
    at = np.linspace(0, len(anchors) - 1, levels)
    channels = [np.interp(at, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)
