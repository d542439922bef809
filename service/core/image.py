"""From an encoded picture of any size to the network's pixels: the same code in training, evaluation and serving.

Rules: alpha lies over white. A gray model takes colour pictures by ITU-R 601 luma (0.299 R + 0.587 G + 0.114 B); a
colour model takes gray ones by replication. Of animations the first frame counts, of documents the first page.
"""

from __future__ import annotations

import math
import struct

import numpy as np
from PIL import Image

from service.core import jpeg, raster
from service.core.errors import BadImage, InvalidInput
from service.core.image_header import Format, Header, Limits, check_size, sniff
from service.core.messages import Payload
from service.core.resize import Box, Pixels, Size, resize
from service.core.spec import Interpolation, Spec

__all__ = ["Format", "Header", "Limits", "decode", "inspect", "load", "prepare"]

#: What Pillow and simplejpeg raise on damaged files, as found by fuzzing and in their sources. No MemoryError: sizes
#: were checked, so that one is the server's own trouble.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,  # where warnings are raised, as under `python -W error`: Pillow warns of damage that it passes over
    struct.error,
    Image.DecompressionBombError,
)


def inspect(data: bytes, limits: Limits) -> Header:
    """Read format and size and hold them against `limits`, without decoding a pixel; raises `BadImage`."""
    format_ = sniff(data, limits)
    try:
        width, height = jpeg.read_size(data) if format_ == "JPEG" else raster.read_size(data, format_)
    except _DAMAGE as error:
        raise _damaged(format_, error) from error
    check_size(width, height, limits)
    return Header(format_, width, height)


def decode(data: bytes, spec: Spec, limits: Limits) -> Pixels:
    """Decode an encoded picture and prepare it: uint8 [height, width, channels] of the spec, C-contiguous.

    Sizes are checked before any pixel is decoded. Raises `BadImage` when the file breaks a limit, is of no accepted
    format, or is truncated or damaged.
    """
    return prepare(_decode(data, limits, gray=spec.channels == 1), spec)


def load(data: Payload, spec: Spec, limits: Limits, *, pixels: bool) -> Pixels:
    """What the network is fed with, uint8 [height, width, channels]: `data` as it is when it is `pixels`, or decoded.

    Pixels are not copied. Raises `BadImage` for another number of them than the spec has; else what `decode` raises.
    """
    if not pixels:
        return decode(bytes(data), spec, limits)
    if len(data) != math.prod(spec.shape):
        shape = " x ".join(str(side) for side in spec.shape)
        raise BadImage("image", f"{math.prod(spec.shape)} bytes, {shape} pixels", f"{len(data)} bytes")
    return np.frombuffer(data, np.uint8).reshape(spec.shape)


def _decode(data: bytes, limits: Limits, *, gray: bool) -> Pixels:
    format_ = sniff(data, limits)
    try:
        return jpeg.decode(data, limits, gray=gray) if format_ == "JPEG" else raster.decode(data, format_, limits)
    except _DAMAGE as error:
        raise _damaged(format_, error) from error


def _damaged(format_: Format, error: Exception) -> BadImage:
    return BadImage("image", f"must be a complete, undamaged {format_} file", error)


def prepare(pixels: Pixels, spec: Spec) -> Pixels:
    """Fit decoded pixels, uint8 [any height, any width, 1 or 3], to the spec: uint8 [height, width, channels].

    C-contiguous, to be treated as read-only: pixels that fit already come back as they are. Raises `InvalidInput`.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or pixels.size == 0:
        raise InvalidInput("pixels", "uint8 [height, width, 1 or 3]", f"{pixels.dtype} {list(pixels.shape)}")
    if spec.channels == 1 and pixels.shape[2] == 3:
        pixels = np.asarray(Image.fromarray(pixels).convert("L"))[:, :, np.newaxis]
    fitted = _fit(pixels, spec)
    if spec.channels > fitted.shape[2]:
        fitted = np.repeat(fitted, spec.channels, axis=2)
    return np.ascontiguousarray(fitted)


def _fit(pixels: Pixels, spec: Spec) -> Pixels:
    height, width, _ = pixels.shape
    target, how = (spec.width, spec.height), spec.preprocess
    if how.resize == "pad":
        return _pad(pixels, target, how.interpolation, how.background)
    if how.resize == "crop":
        return resize(pixels, _crop_box((width, height), target, how.crop_fraction), target, how.interpolation)
    return resize(pixels, (0, 0, width, height), target, how.interpolation)


def _crop_box(size: Size, target: Size, fraction: float) -> Box:
    """The centred box of the target's aspect ratio: `fraction` of the largest one that fits into `size`."""
    scale = fraction * min(size[0] / target[0], size[1] / target[1])
    left = max(0.0, (size[0] - scale * target[0]) / 2)
    top = max(0.0, (size[1] - scale * target[1]) / 2)
    return (left, top, size[0] - left, size[1] - top)


def _pad(pixels: Pixels, target: Size, interpolation: Interpolation, background: int) -> Pixels:
    height, width, channels = pixels.shape
    scale = min(target[0] / width, target[1] / height)
    fit_width, fit_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (target[0] - fit_width) // 2, (target[1] - fit_height) // 2
    canvas = np.full((target[1], target[0], channels), background, np.uint8)
    canvas[top : top + fit_height, left : left + fit_width] = resize(
        pixels, (0, 0, width, height), (fit_width, fit_height), interpolation
    )
    return canvas
