"""The formats that Pillow decodes: every kind of sample becomes 8-bit gray or RGB, and alpha lies over white.

Pillow's readers are called by class: `Image.open` would try formats that Vitrine does not accept, and has a limit of
its own that warns on standard error.
"""

from __future__ import annotations

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, GifImagePlugin, Image, PngImagePlugin, TiffImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile

from service.core import exif, png
from service.core.errors import BadImage
from service.core.image_header import Format, Limits, check_size

Pixels = NDArray[np.uint8]

_READERS: dict[Format, type[ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
}
_GRAY = ("1", "L")
_WIDE_GRAY = ("I;16", "I;16B")
_COLOUR = ("P", "RGB", "CMYK", "YCbCr")

_PNG_DEPTH = 24  #: where IHDR holds the bits per sample
_TIFF_BITS, _TIFF_PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0


def read_size(data: bytes, format_: Format) -> tuple[int, int]:
    """Width and height in pixels as stored; no pixel is decoded. Raises whatever Pillow raises on damaged files."""
    match format_:
        case "PNG":
            return png.read_size(data)
        case "WebP":
            return _webp_size(data)
        case _:
            return _READERS[format_](io.BytesIO(data)).size


def _webp_size(data: bytes) -> tuple[int, int]:
    """Canvas size from the first chunk (RFC 9649, 2.5 to 2.7): Pillow allocates the canvas before it tells."""
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


def decode(data: bytes, format_: Format, limits: Limits) -> Pixels:
    """Decode the first frame or page: upright pixels [height, width, 1 or 3].

    16-bit samples keep their high byte. Raises `BadImage` when the size breaks `limits`, and for samples without a
    known range (32-bit, float) or colour space (Lab); and whatever Pillow raises on damaged files.
    """
    if format_ in ("PNG", "WebP"):  # before Pillow allocates a canvas, or anything else looks at the file
        check_size(*read_size(data, format_), limits)
    if format_ == "PNG" and (plain := png.decode_plain(data, png.check(data))) is not None:
        return plain
    image = _READERS[format_](io.BytesIO(data))
    check_size(*image.size, limits)
    image.load()
    if format_ == "PNG":
        _scale_key(image, bits=data[_PNG_DEPTH])
    return exif.upright(_pixels(image), exif.orientation(image.info.get("exif", b"")))


def _scale_key(image: ImageFile, bits: int) -> None:
    """Bring a transparent colour to 8 bits as the samples are; Pillow leaves it in the depth of the file."""
    key = image.info.get("transparency")
    if image.mode == "L" and isinstance(key, int):
        image.info["transparency"] = key * 255 // (2**bits - 1)
    if image.mode == "RGB" and bits == 16 and key is not None:
        image.info["transparency"] = tuple(sample >> 8 for sample in key)


def _pixels(image: ImageFile) -> Pixels:
    if image.mode in _WIDE_GRAY:
        return _high_byte(image)[:, :, np.newaxis]
    if image.has_transparency_data:
        return np.asarray(_over_white(image))
    if image.mode in _GRAY:
        return np.asarray(image.convert("L"))[:, :, np.newaxis]
    if image.mode in _COLOUR:
        return np.asarray(image.convert("RGB"))
    raise BadImage("image", "8- or 16-bit gray, palette, RGB, YCbCr or CMYK samples", f"mode {image.mode}")


def _high_byte(image: ImageFile) -> Pixels:
    """16-bit gray by its high byte, as Pillow does for 16-bit RGB; its own conversion to 8 bits would clip at 255."""
    samples = np.asarray(image)
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    (bits,) = tags.get(_TIFF_BITS, (16,))
    gray: Pixels = (samples >> (bits - 8)).astype(np.uint8)
    if tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
        return 255 - gray
    return np.where(samples == image.info.get("transparency"), np.uint8(255), gray)


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":  # premultiplied; Pillow has no direct way to RGBA
        image = image.convert("LA")
    picture = image.convert("RGBA")
    canvas = Image.new("RGB", picture.size, "white")
    canvas.paste(picture, mask=picture.getchannel("A"))
    return canvas
