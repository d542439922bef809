"""What an encoded picture says about itself, read from its first bytes: format and size. Nothing is decoded.

JPEG and WebP are read here (a JPEG in microseconds; and Pillow allocates a WebP's canvas before it can be asked for
its size); for the other formats Pillow's own header parsers are called, by class: `Image.open` would also try formats
that Vitrine does not accept, and has limits of its own.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from PIL import BmpImagePlugin, GifImagePlugin, Image, PngImagePlugin, TiffImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile

from service.core import jpeg
from service.core.errors import BadImage

Format = Literal["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF"]

#: What Pillow's parsers and decoders raise on damaged files, beside `OSError`.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    EOFError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
_READERS: dict[Format, type[ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
}
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may cost: encoded bytes, and pixels as stored in the file, checked before any is decoded."""

    max_bytes: int = 16 * 1024 * 1024
    max_pixels: int = 64_000_000
    max_side: int = 32_768
    min_side: int = 1


@dataclass(frozen=True, slots=True)
class Header:
    """Format and size in pixels as stored, that is, before EXIF orientation."""

    format: Format
    width: int
    height: int


@contextmanager
def damage(format_: Format) -> Iterator[None]:
    """Turn whatever a parser or decoder raises on a damaged file into `BadImage`."""
    try:
        yield
    except _DAMAGE as error:
        raise BadImage("image", f"must be a complete, undamaged {format_} file", error) from error


def inspect(data: bytes, limits: Limits) -> Header:
    """Read format and size and hold them against `limits`, without decoding a pixel; raises `BadImage`."""
    format_ = sniff(data, limits)
    width, height = _size(data, format_)
    check_size(width, height, limits)
    return Header(format_, width, height)


def sniff(data: bytes, limits: Limits) -> Format:
    """The format by its magic bytes; raises `BadImage` for an unknown one, and for too few or too many bytes."""
    if not data:
        raise BadImage("image", "must not be empty", "0 bytes")
    if len(data) > limits.max_bytes:
        raise BadImage("image", f"at most {limits.max_bytes} bytes", f"{len(data)} bytes")
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith(b"BM"):
        return "BMP"
    if data.startswith(_TIFF_MAGIC):
        return "TIFF"
    raise BadImage("image", "must be JPEG, PNG, WebP, GIF, BMP or TIFF", f"bytes that begin with {data[:8].hex(' ')}")


def check_size(width: int, height: int, limits: Limits) -> None:
    """Raise `BadImage` when a side or the number of pixels is out of bounds."""
    size = f"{width} x {height}"
    if min(width, height) < limits.min_side:
        raise BadImage("image", f"sides of at least {limits.min_side} pixels", size)
    if max(width, height) > limits.max_side:
        raise BadImage("image", f"sides of at most {limits.max_side} pixels", size)
    if width * height > limits.max_pixels:
        raise BadImage("image", f"at most {limits.max_pixels} pixels", f"{size} = {width * height}")


def open_file(data: bytes, format_: Format, limits: Limits) -> ImageFile:
    """Pillow's reader of this format with the header parsed and its size checked, pixels not yet decoded.

    To be called, and its result used, within `damage`.
    """
    if format_ == "WebP":
        check_size(*_webp_size(data), limits)
    image = _READERS[format_](io.BytesIO(data))
    check_size(*image.size, limits)
    return image


def _size(data: bytes, format_: Format) -> tuple[int, int]:
    with damage(format_):
        if format_ == "JPEG":
            frame = jpeg.read_frame(data)
            return frame.width, frame.height
        if format_ == "WebP":
            return _webp_size(data)
        return _READERS[format_](io.BytesIO(data)).size


def _webp_size(data: bytes) -> tuple[int, int]:
    """Canvas size from the first chunk (RFC 9649, sections 2.5 to 2.7)."""
    chunk, body = data[12:16], data[20:30]
    if len(body) < 10:
        raise EOFError("the header is truncated")
    if chunk == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", body, 6)
    return width & 0x3FFF, height & 0x3FFF
