"""Taking parts of a picture away: what is put there instead, which parts, and what the answers say about each pixel.

Occlusion: Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014.
RISE: Petsiuk, Das & Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from service.core.errors import InvalidInput
from service.core.geometry import Box, Size

Pixels = NDArray[np.uint8]  # [height, width, channels]
Masks = NDArray[np.float32]  # [count, height, width]: 1 shows a pixel, 0 hides it

_PATCHES = 6  # along a side, unless the caller says how large
_BLUR = 16  # a picture's side over the standard deviation of its blur


class Fill(Enum):
    """What stands where the picture is hidden."""

    MEAN = "mean"  #: the picture's mean colour
    BLUR = "blur"  #: the picture, blurred by a 16th of its longer side
    BLACK = "black"
    WHITE = "white"


@dataclass(frozen=True, slots=True)
class Occlusion:
    """A patch of `patch` x `patch` pixels, moved by `stride`; 0: a 6th of the shorter side, and half of the patch."""

    patch: int = 0
    stride: int = 0

    def boxes(self, size: Size) -> list[Box]:
        """Every place of the patch; those at the far sides reach the edge, so that each pixel is hidden once at least.

        Raises `InvalidInput` for a patch that is larger than the picture, or one that jumps over pixels.
        """
        patch = self.patch or max(1, min(size) // _PATCHES)
        stride = self.stride or max(1, patch // 2)
        if not 1 <= patch <= min(size):
            raise InvalidInput("occlusion.patch", f"1 to {min(size)} pixels", patch)
        if not 1 <= stride <= patch:
            raise InvalidInput("occlusion.stride", f"1 to the patch, {patch} pixels", stride)
        rows, columns = ([*range(0, side - patch, stride), side - patch] for side in size)
        return [Box(y, x, y + patch, x + patch) for y in rows for x in columns]


@dataclass(frozen=True, slots=True)
class Rise:
    """Random masks: a grid of `cells` x `cells`, each shown with probability `keep`, enlarged and shifted.

    Raises `InvalidInput`.
    """

    masks: int = 1000
    cells: int = 7
    keep: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.masks < 1:
            raise InvalidInput("rise.masks", "at least 1", self.masks)
        if not 2 <= self.cells <= 64:
            raise InvalidInput("rise.cells", "2 to 64", self.cells)
        if not 0 < self.keep < 1:
            raise InvalidInput("rise.keep", "between 0 and 1", self.keep)

    def draw(self, random: np.random.Generator, count: int, size: Size) -> Masks:
        """The next `count` masks."""
        cell = (-(-size[0] // self.cells), -(-size[1] // self.cells))
        grown = ((self.cells + 1) * cell[1], (self.cells + 1) * cell[0])
        masks = np.empty((count, *size), np.float32)
        for mask in masks:
            grid = (random.random((self.cells + 1, self.cells + 1)) < self.keep).astype(np.float32)
            whole = np.asarray(Image.fromarray(grid).resize(grown, Image.Resampling.BILINEAR))
            y, x = int(random.integers(cell[0])), int(random.integers(cell[1]))
            mask[:] = whole[y : y + size[0], x : x + size[1]]
        return masks


def filled(pixels: Pixels, fill: Fill) -> Pixels:
    """What a picture is when all of it is hidden; of the same shape."""
    match fill:
        case Fill.MEAN:
            return np.broadcast_to(pixels.mean(axis=(0, 1)).round().astype(np.uint8), pixels.shape)
        case Fill.BLUR:
            return blurred(pixels)
        case Fill.BLACK:
            return np.zeros_like(pixels)
        case _:  # WHITE
            return np.full_like(pixels, 255)


def blurred(pixels: Pixels) -> Pixels:
    """Without its details."""
    blur = ImageFilter.GaussianBlur(max(pixels.shape[:2]) / _BLUR)
    channels = [np.asarray(Image.fromarray(channel).filter(blur)) for channel in np.moveaxis(pixels, 2, 0)]
    return np.stack(channels, axis=2)


def hiding(boxes: Sequence[Box], size: Size) -> Masks:
    """Masks that hide one box each."""
    masks = np.ones((len(boxes), *size), np.float32)
    for mask, box in zip(masks, boxes, strict=True):
        mask[box.y0 : box.y1, box.x0 : box.x1] = 0
    return masks


def blended(pixels: Pixels, background: Pixels, masks: Masks) -> NDArray[np.uint8]:
    """The picture through each mask: [count, height, width, channels]."""
    shown = masks[..., np.newaxis]
    mixed: NDArray[np.uint8] = (shown * pixels + (1 - shown) * background).round().astype(np.uint8)
    return mixed


class Tally:
    """The mean of scores at every pixel, each counting as much as its picture concerned that pixel."""

    def __init__(self, size: Size) -> None:
        self._sum = np.zeros(size)
        self._weight = np.zeros(size)

    def add(self, weights: Masks, scores: NDArray[np.float64]) -> None:
        """Count pictures: `weights` [N, height, width], `scores` [N]."""
        self._sum += np.einsum("nyx,n->yx", weights, scores)
        self._weight += weights.sum(axis=0, dtype=np.float64)

    def values(self) -> NDArray[np.float64]:
        """The means so far, zero where nothing counted."""
        means: NDArray[np.float64] = np.divide(
            self._sum, self._weight, out=np.zeros_like(self._sum), where=self._weight > 0
        )
        return means
