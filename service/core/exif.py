"""EXIF orientation: how the camera was held, and the turn that puts the picture upright."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_PREFIX = b"Exif\0\0"
_BYTE_ORDER = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION = 0x0112

#: By orientation (EXIF 2.32, tag 274); 1 is upright already.
_TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: np.rot90,
}


def orientation(exif: bytes) -> int:
    """Orientation 1 to 8 from an EXIF block, with or without its `Exif` prefix.

    1 (upright) when it says nothing readable: a damaged EXIF block does not make the picture unreadable.
    """
    tiff = exif.removeprefix(_PREFIX)
    order = _BYTE_ORDER.get(tiff[:4])
    if order is None:
        return 1
    try:
        return _first_directory(tiff, order).get(_ORIENTATION, 1)
    except struct.error:
        return 1


def _first_directory(tiff: bytes, order: str) -> dict[int, int]:
    """Tag -> the value's first 16 bits, which is the whole value of a SHORT."""
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, start)
    entries = (struct.unpack_from(order + "HHIH", tiff, start + 2 + 12 * index) for index in range(count))
    return {tag: value for tag, _, _, value in entries}


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """`pixels` [height, width, channels] turned by the EXIF orientation, as a view; unknown ones count as upright."""
    turn = _TURNS.get(orientation)
    return pixels if turn is None else turn(pixels)
