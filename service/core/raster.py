"""Pixels of the formats that Pillow decodes: every kind of sample becomes 8-bit grey or RGB, alpha lies over white."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from service.core import exif
from service.core.errors import BadImage

Pixels = NDArray[np.uint8]

_WIDE = ("I;16", "I;16B")
_GREY = ("1", "L")
_COLOUR = ("P", "RGB", "CMYK", "YCbCr")
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0


def decode(image: ImageFile) -> Pixels:
    """Decode the first frame or page: upright pixels [height, width, 1 or 3].

    16-bit samples keep their high byte. Raises `BadImage` for samples without a known range (32-bit, float) or colour
    space (Lab), and whatever Pillow raises on damaged files.
    """
    image.load()
    pixels = _samples(image)
    return exif.upright(pixels, exif.orientation(image.info.get("exif", b"")))


def _samples(image: ImageFile) -> Pixels:
    if image.mode in _WIDE:
        return _high_byte(image)[:, :, np.newaxis]
    if image.has_transparency_data:
        return np.asarray(_over_white(image))
    if image.mode in _GREY:
        return np.asarray(image.convert("L"))[:, :, np.newaxis]
    if image.mode in _COLOUR:
        return np.asarray(image.convert("RGB"))
    raise BadImage("image", "8- or 16-bit grey, palette, RGB, YCbCr or CMYK samples", f"mode {image.mode}")


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":  # premultiplied; Pillow has no direct way to RGBA
        image = image.convert("LA")
    picture = image.convert("RGBA")
    canvas = Image.new("RGB", picture.size, "white")
    canvas.paste(picture, mask=picture.getchannel("A"))
    return canvas


def _high_byte(image: ImageFile) -> Pixels:
    samples = np.asarray(image)
    return (samples >> 8).astype(np.uint8)
