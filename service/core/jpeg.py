"""JPEG by libjpeg-turbo, always strict: a truncated or damaged file is an error, never filled with grey.

The markers before the picture data are walked here, because everything needed is in them: the size, the number of
components, and the EXIF orientation, which costs no second parser when there is none.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from service.core import exif
from service.core.errors import BadImage
from service.core.image_header import Limits, check_size

Pixels = NDArray[np.uint8]

_APP1, _START_OF_SCAN, _END_OF_IMAGE = 0xE1, 0xDA, 0xD9
_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
_NOT_FRAMES = frozenset({0xC4, 0xC8, 0xCC})  # DHT, JPG, DAC lie among the start-of-frame markers
_FRAMES = frozenset(range(0xC0, 0xD0)) - _NOT_FRAMES

#: Every scan of a progressive file passes over all its pixels and may cost a few bytes only: a bomb in time.
MAX_SCANS = 100


@dataclass(frozen=True, slots=True)
class Frame:
    """Size in pixels as stored; 1, 3 or 4 components (grey, YCbCr or RGB, CMYK or YCCK); EXIF orientation 1 to 8."""

    width: int
    height: int
    components: int
    orientation: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height


def read_frame(data: bytes) -> Frame:
    """Read the markers up to the first scan.

    Raises `BadImage` for codings other than 8-bit baseline, extended and progressive Huffman, and for too many scans;
    `ValueError` or `struct.error` when the file is damaged.
    """
    orientation, frame = 1, None
    for marker, start, end in _segments(data):
        if marker in _FRAMES:
            frame = _read_size(data, marker, start)
        elif marker == _APP1 and data.startswith(b"Exif\0\0", start):
            orientation = exif.orientation(data[start:end])
    if frame is None:
        raise ValueError("no start-of-frame marker before the first scan")
    width, height, components = frame
    return Frame(width, height, components, orientation)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, first byte and end of the contents, for each segment before the first scan."""
    position = 2
    while True:
        escape, marker, length = struct.unpack_from(">BBH", data, position)
        if escape != 0xFF or marker == _END_OF_IMAGE:
            raise ValueError(f"no marker at byte {position}")
        if marker == _START_OF_SCAN:
            return
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        yield marker, position + 4, position + 2 + length
        position += 2 + length


def _read_size(data: bytes, marker: int, start: int) -> tuple[int, int, int]:
    precision, height, width, components = struct.unpack_from(">BHHB", data, start)
    if marker not in (_BASELINE, _EXTENDED, _PROGRESSIVE) or precision != 8:
        raise BadImage("image", "8-bit baseline or progressive JPEG", f"start-of-frame {marker:#x}, {precision} bits")
    if marker == _PROGRESSIVE and (scans := data.count(b"\xff\xda")) > MAX_SCANS:
        raise BadImage("image", f"at most {MAX_SCANS} progressive scans", scans)
    return width, height, components


def decode(data: bytes, limits: Limits, *, grey: bool) -> Pixels:
    """Decode upright pixels [height, width, 1 or 3].

    A grey file gives one channel. A colour file gives one when `grey`: its own Y, which is ITU-R 601 luma (JFIF), so
    that no colour is computed only to be thrown away.

    Raises `BadImage` when the size breaks `limits`, else as `read_frame`; `ValueError` when the file is damaged.
    """
    frame = read_frame(data)
    check_size(*frame.size, limits)
    if frame.components == 4:
        pixels = _decode_cmyk(data)
    else:
        pixels = simplejpeg.decode_jpeg(data, "GRAY" if grey or frame.components == 1 else "RGB")
    return exif.upright(pixels, frame.orientation)


def _decode_cmyk(data: bytes) -> Pixels:
    """CMYK and YCCK to RGB. Their inks are stored inverted, as Adobe does and as everybody reads them since."""
    inks = simplejpeg.decode_jpeg(data, "CMYK")
    height, width = inks.shape[:2]
    return np.asarray(Image.frombytes("CMYK", (width, height), inks, "raw", "CMYK;I").convert("RGB"))
