"""What a PNG says of itself before Pillow sees it, and small plain ones by libspng (W3C PNG Specification, 2003).

Pillow takes 90 us for a picture of 28x28, libspng 7 us: as much as a small network spends on it. It holds the GIL
though, and knows nothing of orientation and colour keys, so that it is given small pictures without either.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

try:
    import pyspng
except ImportError:
    pyspng = None

Pixels = NDArray[np.uint8]

_SIGNATURE = 8  #: bytes before the first chunk
_CHUNK = struct.Struct(">I4s")

#: 8-bit gray and 8-bit RGB with the only compression and filter methods that there are, not interlaced.
_PLAIN_SAMPLES = (b"\x08\0\0\0\0", b"\x08\x02\0\0\0")
#: Beside the picture itself, chunks that change no pixel here and are not compressed.
_PLAIN_CHUNKS = frozenset({b"IHDR", b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"tIME", b"bKGD", b"tEXt"})
#: The GIL is held for about 22 ns per pixel.
_SMALL_PIXELS = 128 * 128


def read_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels as stored. Raises `ValueError` or `struct.error` when the header is damaged."""
    name, width, height = struct.unpack_from(">4sII", data, _SIGNATURE + 4)
    if name != b"IHDR":
        raise ValueError("the first chunk must be IHDR")
    return width, height


def check(data: bytes) -> frozenset[bytes]:
    """The names of the chunks of a complete file; raises `ValueError` or `struct.error` when it is not.

    Checked here, since decoders pass over a checksum or a missing end once they have all pixels.
    """
    names = frozenset(_chunks(data))
    if b"IEND" not in names:
        raise ValueError("the file has no end")
    return names


def _chunks(data: bytes) -> Iterator[bytes]:
    position, name = _SIGNATURE, b""
    while name != b"IEND" and position < len(data):
        length, name = _CHUNK.unpack_from(data, position)
        end = position + _CHUNK.size + length
        (checksum,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(data[position + 4 : end]) != checksum:
            raise ValueError(f"the checksum of chunk {name!r} at byte {position} is wrong")
        yield name
        position = end + 4


def decode_plain(data: bytes, chunks: frozenset[bytes]) -> Pixels | None:
    """Pixels [height, width, 1 or 3] of a small picture of 8-bit gray or RGB; None for Pillow to decode the others.

    `chunks` as `check` found them. Raises `RuntimeError` when the pixels are damaged.
    """
    if pyspng is None or not chunks <= _PLAIN_CHUNKS or data[24:29] not in _PLAIN_SAMPLES:
        return None
    width, height = read_size(data)
    if width * height > _SMALL_PIXELS:
        return None
    pixels: Pixels = pyspng.load(data)
    return pixels if pixels.ndim == 3 else pixels[:, :, np.newaxis]
