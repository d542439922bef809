"""Encoded pictures for the tests, made on the spot."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.core.spec import Preprocess, Spec


def encode(picture: NDArray[Any] | Image.Image, format_: str, mode: str | None = None, **options: Any) -> bytes:
    """`picture` as a file of `format_`, converted to Pillow's `mode` first."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = io.BytesIO()
    (image.convert(mode) if mode else image).save(file, format_, **options)
    return file.getvalue()


def photo(height: int, width: int, channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth colours with some noise, uint8 [height, width, channels]: compresses as photographs do."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (max(2, height // 16), max(2, width // 16), 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    noisy = np.clip(smooth + random.integers(-6, 7, smooth.shape), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(noisy[:, :, :channels])


def exif(orientation: int) -> bytes:
    """An EXIF block that holds the orientation only."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def png(size: tuple[int, int], depth: int, colour: int, rows: list[bytes], **chunks: bytes) -> bytes:
    """A PNG from its rows of packed samples: Pillow does not write every depth; `chunks` come before the pixels."""
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [("IHDR", header), *chunks.items(), ("IDAT", body), ("IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name.encode(), content) for name, content in parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def tiff_tag(data: bytes, tag: int, value: int) -> bytes:
    """A little-endian TIFF with the one SHORT of `tag` changed to `value`."""
    at = data.index(struct.pack("<HHI", tag, 3, 1)) + 8
    return data[:at] + struct.pack("<H", value) + data[at + 2 :]


def spec(channels: Literal[1, 3], height: int, width: int, **preprocess: Any) -> Spec:
    """A two-class model's spec."""
    return Spec("test", channels, height, width, ("a", "b"), preprocess=Preprocess(**preprocess))
