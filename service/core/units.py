"""The arithmetic behind one unit: every factor of every product, so that the sum can be checked by hand.

ONNX, like PyTorch, calls "convolution" what mathematics calls cross-correlation: the kernel is not flipped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.geometry import Box, Size, Window

Place = tuple[int, int, int]  #: channel, y, x


@dataclass(frozen=True, slots=True)
class Patch:
    """What a window sees of one input channel: float64 [kernel height, kernel width] each.

    Where `is_padding`, the value is the zero that lies around the map. `sum` is that of the products.
    """

    channel: int
    values: NDArray[np.float64]
    kernel: NDArray[np.float64]
    products: NDArray[np.float64]
    is_padding: NDArray[np.bool_]
    sum: float


@dataclass(frozen=True, slots=True)
class ConvUnit:
    """value = sum over patches + bias. The patch with the largest absolute sum is first."""

    patches: tuple[Patch, ...]
    bias: float
    window: Window


@dataclass(frozen=True, slots=True)
class PoolUnit:
    """value = maximum, or sum / `divisor`, of `values` [kernel height, kernel width] of one channel.

    `winner` is the place in the window of the maximum, None for a mean. `at` is the window in units of the input map,
    of which it sees one in `dilation`.
    """

    kind: str
    values: NDArray[np.float64]
    is_padding: NDArray[np.bool_]
    winner: Size | None
    divisor: float
    at: Box
    dilation: Size = (1, 1)


@dataclass(frozen=True, slots=True)
class ActivationUnit:
    """value = formula(x)."""

    name: str
    formula: str
    x: float


@dataclass(frozen=True, slots=True)
class NormUnit:
    """value = (x - mean) / sqrt(variance + epsilon) * scale + shift."""

    x: float
    mean: float
    variance: float
    epsilon: float
    scale: float
    shift: float


@dataclass(frozen=True, slots=True)
class DenseUnit:
    """value = sum(inputs * weights) + bias, each float64 [inputs]; `order` sorts by absolute product, largest first."""

    inputs: NDArray[np.float64]
    weights: NDArray[np.float64]
    order: NDArray[np.intp]
    bias: float


@dataclass(frozen=True, slots=True)
class SoftmaxUnit:
    """value = exp(x[index] - max(x)) / sum(exp(x - max(x))); its logarithm when `is_log`. `x` float64 [classes]."""

    x: NDArray[np.float64]
    index: int
    is_log: bool


@dataclass(frozen=True, slots=True)
class MergeUnit:
    """value = the terms joined by `op` (Add, Mul, Concat, ...). Concat and reshapes have one term: where it was."""

    op: str
    terms: tuple[tuple[str, float], ...]


Unit = ConvUnit | PoolUnit | ActivationUnit | NormUnit | DenseUnit | SoftmaxUnit | MergeUnit


@dataclass(frozen=True, slots=True)
class Explained:
    """One unit: its value as the network stored it, and as the arithmetic gives it."""

    value: float
    computed: float
    unit: Unit

    @property
    def residual(self) -> float:
        """How far the arithmetic is off."""
        return abs(self.computed - self.value)
