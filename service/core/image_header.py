"""The limits of a picture: is it of a format that Vitrine accepts, and is it small enough to be decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from service.core.errors import BadImage

Format = Literal["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF"]

_MAGIC: dict[bytes, Format] = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",  # BigTIFF
    b"MM\0+": "TIFF",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may cost: encoded bytes, and pixels as stored in the file, checked before any is decoded."""

    max_bytes: int = 16 * 1024 * 1024
    max_pixels: int = 64_000_000
    max_side: int = 32_768
    min_side: int = 1


@dataclass(frozen=True, slots=True)
class Header:
    """Format and size in pixels as stored, before EXIF orientation (a TIFF's, which Pillow turns itself, after it)."""

    format: Format
    width: int
    height: int


def sniff(data: bytes, limits: Limits) -> Format:
    """The format by its magic bytes; raises `BadImage` for an unknown one, and for too few or too many bytes."""
    if not data:
        raise BadImage("image", "must not be empty", "0 bytes")
    if len(data) > limits.max_bytes:
        raise BadImage("image", f"at most {limits.max_bytes} bytes", f"{len(data)} bytes")
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    for magic, format_ in _MAGIC.items():
        if data.startswith(magic):
            return format_
    raise BadImage("image", "must be JPEG, PNG, WebP, GIF, BMP or TIFF", f"a file that begins with {data[:8]!r}")


def check_size(width: int, height: int, limits: Limits) -> None:
    """Raise `BadImage` when a side or the number of pixels is out of bounds."""
    size = f"{width} x {height}"
    if min(width, height) < limits.min_side:
        raise BadImage("image", f"sides of at least {limits.min_side} pixels", size)
    if max(width, height) > limits.max_side:
        raise BadImage("image", f"sides of at most {limits.max_side} pixels", size)
    if width * height > limits.max_pixels:
        raise BadImage("image", f"at most {limits.max_pixels} pixels", f"{size} = {width * height}")
