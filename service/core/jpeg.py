"""JPEG by libjpeg-turbo, always strict: a truncated or damaged file is an error, never filled with gray.

libjpeg-turbo gives the size but not the EXIF orientation, so the markers before the first scan are walked here: a few
microseconds, where opening the file a second time with Pillow would cost as much as decoding a small picture.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from service.core import exif
from service.core.errors import BadImage
from service.core.image_header import Limits, check_size

Pixels = NDArray[np.uint8]

_APP1, _START_OF_SCAN = 0xE1, 0xDA
_PROGRESSIVE = (0xC2, 0xCA)  #: start of frame, with Huffman and with arithmetic coding
_WITHOUT_CONTENTS = frozenset({0x00, 0x01, *range(0xD0, 0xDA)})

#: Every scan of a progressive file passes over all its pixels and may cost a few bytes only: a bomb in time.
MAX_SCANS = 100


def read_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels as stored; no pixel is decoded. Raises `ValueError` when the file is damaged."""
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    return width, height


def decode(data: bytes, limits: Limits, *, gray: bool) -> Pixels:
    """Decode upright pixels [height, width, 1 or 3].

    A gray file gives one channel. A colour file gives one when `gray`: its own Y, which is ITU-R 601 luma (JFIF), so
    that no colour is computed only to be thrown away. It is within 2 of the luma of the decoded RGB, except where RGB
    cannot hold the colour and clips.

    Raises `BadImage` when it breaks `limits` or has too many scans; `ValueError` or `struct.error` when damaged.
    """
    height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    check_size(width, height, limits)
    orientation = _read_markers(data)
    if colours in ("CMYK", "YCCK"):
        pixels = _decode_cmyk(data)
    else:
        pixels = simplejpeg.decode_jpeg(data, "GRAY" if gray or colours == "Gray" else "RGB")
    return exif.upright(pixels, orientation)


def _decode_cmyk(data: bytes) -> Pixels:
    """CMYK and YCCK to RGB. Their inks are stored inverted, as Adobe does and as everybody reads them since."""
    inks = simplejpeg.decode_jpeg(data, "CMYK")
    height, width, _ = inks.shape
    return np.asarray(Image.frombytes("CMYK", (width, height), inks, "raw", "CMYK;I").convert("RGB"))


def _read_markers(data: bytes) -> int:
    """The EXIF orientation, 1 to 8; raises `BadImage` when a progressive file has too many scans."""
    orientation = 1
    for marker, start, end in _segments(data):
        if marker == _APP1 and data.startswith(b"Exif\0\0", start):
            orientation = exif.orientation(data[start:end])
        elif marker in _PROGRESSIVE and (scans := data.count(b"\xff\xda")) > MAX_SCANS:
            raise BadImage("image", f"at most {MAX_SCANS} progressive scans", scans)
    return orientation


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, first byte and end of the contents, for each segment before the first scan."""
    position = 2
    while True:
        escape, marker, length = struct.unpack_from(">BBH", data, position)
        if escape != 0xFF or marker in _WITHOUT_CONTENTS:
            raise ValueError(f"no segment at byte {position}")
        if marker == _START_OF_SCAN:
            return
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        yield marker, position + 4, position + 2 + length
        position += 2 + length
