"""Class activation maps: from a layer's maps, and what they mean to a class, to one map of evidence.

All maps are in units of the logits. Maps and gradients are [channels, height, width], the evidence [height, width].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.geometry import Field, Size
from service.core.graph import Array

Evidence = NDArray[np.float64]


def cam(maps: Array, weights: Array) -> Evidence:
    """Each unit's part in a logit behind global average pooling and a dense layer; they add up to it, less its bias.

    `weights` [channels]. Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016.
    """
    return _joined(weights.reshape(-1, 1, 1) / maps[0].size, maps)


def grad_cam(maps: Array, gradients: Array) -> Evidence:
    """Channels weighted by their mean gradient. Selvaraju et al., "Grad-CAM", ICCV 2017; before its final ReLU."""
    return _joined(gradients.astype(np.float64).mean(axis=(1, 2), keepdims=True), maps)


def hires_cam(maps: Array, gradients: Array) -> Evidence:
    """Units weighted by their own gradient. Draelos & Carin, "HiResCAM", arXiv 2011.08891, 2020; before its ReLU."""
    return _joined(gradients, maps)


def layer_cam(maps: Array, gradients: Array) -> Evidence:
    """Units weighted by their own gradient where it is positive. Jiang et al., "LayerCAM", IEEE TIP 2021."""
    return _joined(np.maximum(gradients, 0), maps)


def _joined(weights: Array, maps: Array) -> Evidence:
    summed: Evidence = (weights.astype(np.float64) * maps).sum(axis=0)
    return summed


def alone(maps: Array, start: int, end: int) -> Array:
    """Copies of `maps` for the units `start` to `end`, row by row: in each, only that unit is left, the rest is zero.

    [end - start, channels, height, width]. What the network's head gives for each, less what it gives for nothing, is
    Recipro-CAM: Byun & Lee, arXiv 2209.14074, without its smoothing.
    """
    channels = maps.shape[0]
    flat = np.zeros((end - start, channels, maps[0].size), maps.dtype)
    for row, unit in enumerate(range(start, end)):
        flat[row, :, unit] = maps.reshape(channels, -1)[:, unit]
    return flat.reshape(-1, *maps.shape)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a map's cells lie on the input: the centre of cell (0, 0), and the way to the next, in pixels."""

    first: tuple[float, float]
    step: tuple[float, float]


#: Of a map in the resolution of the input.
PIXELS = Placement((0.0, 0.0), (1.0, 1.0))


def placement(cells: Size, size: Size, field: Field | None) -> Placement:
    """Cells lie at the centres of their receptive fields; where those are not known, evenly over the input."""
    if field is not None and min(field.jump) > 0:
        first = tuple(start + (seen - 1) / 2 for start, seen in zip(field.start, field.size, strict=True))
        return Placement((first[0], first[1]), (float(field.jump[0]), float(field.jump[1])))
    step = (size[0] / cells[0], size[1] / cells[1])
    return Placement(((step[0] - 1) / 2, (step[1] - 1) / 2), step)


def enlarged(values: NDArray[np.floating], place: Placement, size: Size) -> Evidence:
    """The map at every pixel of the input: bilinear between the centres of cells, constant beyond the outermost."""
    rows, columns = (_mixing(values.shape[axis], place.first[axis], place.step[axis], size[axis]) for axis in (0, 1))
    result: Evidence = rows @ values.astype(np.float64) @ columns.T
    return result


def _mixing(cells: int, first: float, step: float, pixels: int) -> NDArray[np.float64]:
    """How much of each cell is in each pixel along one axis: [pixels, cells], rows add up to 1."""
    at = np.clip((np.arange(pixels) - first) / step, 0, cells - 1)
    distance = np.abs(at[:, np.newaxis] - np.arange(cells))
    shares: NDArray[np.float64] = np.maximum(1 - distance, 0)
    return shares
