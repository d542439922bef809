"""The layers of a recipe, as frozen values: what the TOML says, checked, before anything is built.

May import `service.core` only. `geometry` computes their sizes, `net` turns them into torch modules.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

Positive = Annotated[int, Field(gt=0)]
NotNegative = Annotated[int, Field(ge=0)]
#: One part of a module path, since the dot separates levels. Empty: `named` gives one.
Name = Annotated[str, Field(pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$")]


def _pair(value: object) -> object:
    """A single number stands for both axes."""
    return (value, value) if isinstance(value, int) else value


#: (height, width).
Pair = Annotated[tuple[Positive, Positive], BeforeValidator(_pair)]
#: One number for all sides, [height, width], [top, left, bottom, right], or "same": out = ceil(in / stride).
Padding = (
    NotNegative
    | tuple[NotNegative, NotNegative]
    | tuple[NotNegative, NotNegative, NotNegative, NotNegative]
    | Literal["same"]
)
#: Pooling pads both sides of an axis alike, by at most half of its kernel (torch's rule).
PoolPadding = Annotated[tuple[NotNegative, NotNegative], BeforeValidator(_pair)]
Activation = Literal["relu", "leaky_relu", "silu", "tanh", "sigmoid"]
#: A fixed convolution kernel, [filters][channels / groups][height][width].
Weights = tuple[tuple[tuple[tuple[float, ...], ...], ...], ...]


@dataclass(frozen=True, slots=True)
class Conv:
    """2-D convolution (cross-correlation, as in every deep-learning library). `weights` sets the initial kernel."""

    type: Literal["conv"]
    filters: Positive
    kernel: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    groups: Positive = 1
    padding: Padding = 0
    bias: bool = True
    weights: Weights | None = None
    name: Name = ""


@dataclass(frozen=True, slots=True)
class BatchNorm:
    """Batch normalisation per channel (Ioffe & Szegedy 2015). `momentum` is torch's: the weight of the new batch."""

    type: Literal["batch_norm"]
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1
    name: Name = ""


@dataclass(frozen=True, slots=True)
class _Pool:
    """A window without weights. `stride` is the kernel unless given."""

    kernel: Pair
    stride: Pair | None = None
    padding: PoolPadding = (0, 0)
    name: Name = ""

    def __post_init__(self) -> None:
        if any(2 * pad > size for pad, size in zip(self.padding, self.kernel, strict=True)):
            raise ValueError("padding of a pool is at most half of its kernel")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPool(_Pool):
    """Maximum over a window; padding counts as minus infinity."""

    type: Literal["max_pool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AvgPool(_Pool):
    """Mean over a window; padding counts as zeros."""

    type: Literal["avg_pool"]


@dataclass(frozen=True, slots=True)
class GlobalAvgPool:
    """Mean over the whole map: [C, H, W] -> [C, 1, 1]."""

    type: Literal["global_avg_pool"]
    name: Name = ""


@dataclass(frozen=True, slots=True)
class Flatten:
    """[C, H, W] -> [C * H * W], channel-major."""

    type: Literal["flatten"]
    name: Name = ""


@dataclass(frozen=True, slots=True)
class Dense:
    """Fully connected layer on a flattened input."""

    type: Literal["dense"]
    units: Positive
    bias: bool = True
    name: Name = ""


@dataclass(frozen=True, slots=True)
class Dropout:
    """Zeroes inputs with probability `rate` while training; does nothing when serving."""

    type: Literal["dropout"]
    rate: Annotated[float, Field(ge=0, lt=1)]
    name: Name = ""


@dataclass(frozen=True, slots=True)
class Activate:
    """An activation. `slope` is that of leaky ReLU below zero."""

    type: Activation
    slope: Annotated[float, Field(ge=0)] = 0.01
    name: Name = ""


@dataclass(frozen=True, slots=True)
class Residual:
    """`activation(layers(x) + projection(x))` (He et al. 2015); without `projection` the input itself is added."""

    type: Literal["residual"]
    layers: Annotated[tuple[Layer, ...], Field(min_length=1), AfterValidator(lambda layers: named(layers, RESERVED))]
    projection: Annotated[tuple[Layer, ...], AfterValidator(lambda layers: named(layers))] = ()  # noqa: PLW0108  # defined below
    activation: Activation | None = "relu"
    name: Name = ""


Layer = Annotated[
    Conv | BatchNorm | MaxPool | AvgPool | GlobalAvgPool | Flatten | Dense | Dropout | Activate | Residual,
    Field(discriminator="type"),
]

#: Children that a residual block has beside its inner layers.
RESERVED = frozenset({"projection", "activation"})


def named(layers: tuple[Layer, ...], reserved: frozenset[str] = frozenset()) -> tuple[Layer, ...]:
    """Give every nameless layer its type and a running number (`conv1`, `conv2`); names are unique within one level.

    Raises `ValueError` on a duplicate or reserved name.
    """
    counts: dict[str, int] = {}
    taken = set(reserved)
    result = []
    for layer in layers:
        counts[layer.type] = counts.get(layer.type, 0) + 1
        name = layer.name or f"{layer.type}{counts[layer.type]}"
        if name in taken:
            raise ValueError(f"layer name {name!r} is taken; names are unique within one level")
        taken.add(name)
        result.append(replace(layer, name=name))
    return tuple(result)
