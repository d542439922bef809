"""Resampling with antialiasing, as Pillow defines it: separable filters, widened when the picture shrinks.

`cykooz-resizer` (the Rust crate fast_image_resize, AVX2 or NEON) does this 3 to 5 times as fast as Pillow and as
exactly: both round to 8 bits between the two passes, it filters columns first and Pillow rows, so that single values
differ (by 1, at hard edges by more). Both release the GIL. Where it has no wheel (Linux on Arm), Pillow does the work.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.core.spec import Interpolation

try:
    import cykooz_resizer as simd
except ImportError:
    simd = None

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]
Size = tuple[int, int]

#: Source bytes per call of `simd`, which copies them twice: a picture of any size takes no more memory than this.
_BAND_BYTES = 4 << 20

_PILLOW: dict[Interpolation, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
#: Name in `simd` and radius in pixels of the smaller picture. Pillow's bicubic has a = -0.5: Catmull-Rom.
_SIMD: dict[Interpolation, tuple[str, int]] = {
    "bilinear": ("bilinear", 1),
    "bicubic": ("catmull_rom", 2),
    "lanczos": ("lanczos3", 3),
}


def resize(pixels: Pixels, box: Box, size: Size, interpolation: Interpolation) -> Pixels:
    """Resample `box` (left, top, right, bottom, in pixels of `pixels`) to `size` (width, height).

    `pixels` is uint8 [height, width, 1 or 3]. Equals resizing the whole picture and cropping then, since the filters
    also see what lies beside the box. What has the right size already is returned as it is.
    """
    height, width, _ = pixels.shape
    if size == (width, height) and box == (0, 0, width, height):
        return pixels
    if simd is None or interpolation == "nearest":
        return _by_pillow(pixels, box, size, interpolation)
    bands = [_by_simd(pixels, band, (size[0], rows), interpolation) for band, rows in _bands(pixels, box, size)]
    return bands[0] if len(bands) == 1 else np.concatenate(bands)


def _by_pillow(pixels: Pixels, box: Box, size: Size, interpolation: Interpolation) -> Pixels:
    channels = pixels.shape[2]
    image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
    return np.asarray(image.resize(size, _PILLOW[interpolation], box)).reshape(size[1], size[0], channels)


def _bands(pixels: Pixels, box: Box, size: Size) -> Iterator[tuple[Box, int]]:
    """Cut the box into bands of whole target rows, each of about `_BAND_BYTES` of source."""
    left, top, right, bottom = box
    step = (bottom - top) / size[1]
    rows = max(1, floor(_BAND_BYTES / (step * (right - left) * pixels.shape[2])))
    for first in range(0, size[1], rows):
        last = min(first + rows, size[1])
        yield (left, top + first * step, right, min(bottom, top + last * step)), last - first


def _by_simd(pixels: Pixels, box: Box, size: Size, interpolation: Interpolation) -> Pixels:
    name, radius = _SIMD[interpolation]
    height, width, channels = pixels.shape
    left, right = _reach(box[0], box[2], size[0], radius, width)
    top, bottom = _reach(box[1], box[3], size[1], radius, height)
    kind = simd.PixelType.U8 if channels == 1 else simd.PixelType.U8x3
    source = simd.ImageData(right - left, bottom - top, kind, pixels[top:bottom, left:right].tobytes())
    target = simd.ImageData(*size, kind)
    options = simd.ResizeOptions(
        simd.ResizeAlg.convolution(simd.FilterType[name]),
        use_alpha=False,
        crop_box=simd.CropBox(box[0] - left, box[1] - top, box[2] - box[0], box[3] - box[1]),
    )
    simd.Resizer().resize(source, target, options)
    return np.frombuffer(target.get_buffer(), np.uint8).reshape(size[1], size[0], channels)


def _reach(start: float, stop: float, steps: int, radius: int, length: int) -> tuple[int, int]:
    """The source pixels that the filter sees for `start` to `stop`, one to spare on each side."""
    support = radius * max(1.0, (stop - start) / steps) + 1
    return max(0, floor(start - support)), min(length, ceil(stop + support))
