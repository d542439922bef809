"""Output sizes, receptive fields, parameters and MACs of a recipe's layers, checked against torch in the tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

from model.architecture import (
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    Layer,
    MaxPool,
    Padding,
    Residual,
)
from service.core.errors import InvalidInput
from service.core.geometry import Field, Sides, Size, Window, same

Shape = tuple[int, ...]  #: per item: (channels, height, width), or (features,) once flattened


@dataclass(frozen=True, slots=True)
class Flow:
    """What runs from layer to layer. `grid` is the size of the last map, which a flattened input no longer shows."""

    shape: Shape
    grid: Size
    field: Field


@dataclass(frozen=True, slots=True)
class LayerGeometry:
    """One row of `describe`. MACs are multiply-accumulates for one image, of convolutions and dense layers only."""

    path: str
    type: str
    source: Flow
    target: Flow
    window: Window | None = None
    groups: int = 1
    parameters: int = 0
    macs: int = 0

    @property
    def formulas(self) -> tuple[str, ...]:
        """The output-size formula per axis; one if both axes read alike; none without a window."""
        return self.window.formulas(self.source.grid) if self.window else ()


def image(channels: int, size: Size) -> Flow:
    """The network's input."""
    return Flow((channels, *size), size, Field())


def walk(layers: Sequence[Layer], source: Flow, prefix: str = "") -> Iterator[LayerGeometry]:
    """Every layer in the order of computation, blocks opened: first their layers, then the sum under the block's path.

    Raises `InvalidInput` naming the layer's path as soon as one does not fit.
    """
    for layer in layers:
        path = prefix + layer.name
        for row in _residual(layer, source, path) if isinstance(layer, Residual) else (_row(layer, source, path),):
            yield row
            after = row.target
        source = after


def _residual(block: Residual, source: Flow, path: str) -> Iterator[LayerGeometry]:
    body = list(walk(block.layers, source, f"{path}."))
    shortcut = list(walk(block.projection, source, f"{path}.projection."))
    yield from (*body, *shortcut)
    yield addition(path, "residual", body[-1].target, shortcut[-1].target if shortcut else source)


def _row(layer: Layer, source: Flow, path: str) -> LayerGeometry:  # noqa: PLR0911  # one case per kind of layer
    match layer:
        case Conv():
            window = conv_window(layer, source.grid)
            return convolution(path, source, window, layer.filters, layer.groups, bias=layer.bias)
        case MaxPool() | AvgPool():
            return pooling(path, layer.type, source, pool_window(layer))
        case GlobalAvgPool():
            return pooling(path, layer.type, source, Window(source.grid))
        case BatchNorm():
            return pointwise(path, layer.type, source, parameters=2 * _map_channels(source, path))
        case Flatten():
            return flatten(path, source)
        case Dense():
            return dense(path, source, layer.units, bias=layer.bias)
        case _:
            return pointwise(path, layer.type, source)


def conv_window(conv: Conv, size: Size) -> Window:
    """The window of a recipe's convolution on an input of `size`, padding resolved to four sides."""
    window = Window(conv.kernel, conv.stride, conv.dilation)
    return replace(window, padding=sides(conv.padding, window, size))


def pool_window(pool: MaxPool | AvgPool) -> Window:
    """The window of a recipe's pooling layer."""
    return Window(pool.kernel, pool.stride or pool.kernel, padding=(*pool.padding, *pool.padding))


def sides(padding: Padding, window: Window, size: Size) -> Sides:
    """Padding in any of its spellings as (top, left, bottom, right)."""
    if padding == "same":
        return same(window, size)
    if isinstance(padding, int):
        return (padding, padding, padding, padding)
    if len(padding) == 2:
        return (*padding, *padding)
    return padding


def convolution(path: str, source: Flow, window: Window, filters: int, groups: int = 1, *, bias: bool) -> LayerGeometry:
    """Convolution of a [C, H, W] map."""
    channels = _map_channels(source, path)
    if channels % groups or filters % groups:
        raise InvalidInput(f"{path}.groups", f"must divide {channels} input channels and {filters} filters", groups)
    size = _fitting(window, source, path)
    kernel = channels // groups * prod(window.kernel)
    return LayerGeometry(
        path,
        "conv",
        source,
        Flow((filters, *size), size, source.field.through(window)),
        window,
        groups,
        parameters=filters * kernel + bias * filters,
        macs=prod(size) * filters * kernel,
    )


def pooling(path: str, layer_type: str, source: Flow, window: Window) -> LayerGeometry:
    """Max or average pooling of a [C, H, W] map."""
    channels = _map_channels(source, path)
    size = _fitting(window, source, path)
    return LayerGeometry(path, layer_type, source, Flow((channels, *size), size, source.field.through(window)), window)


def dense(path: str, source: Flow, units: int, *, bias: bool) -> LayerGeometry:
    """Fully connected layer; a unit sees all that its inputs see."""
    if len(source.shape) != 1:
        raise InvalidInput(path, "dense needs a flattened input", list(source.shape))
    target = Flow((units,), (1, 1), source.field.whole(source.grid))
    inputs = source.shape[0]
    return LayerGeometry(path, "dense", source, target, parameters=units * (inputs + bias), macs=units * inputs)


def flatten(path: str, source: Flow) -> LayerGeometry:
    """[C, H, W] -> [C * H * W]."""
    return LayerGeometry(path, "flatten", source, replace(source, shape=(prod(source.shape),)))


def pointwise(path: str, layer_type: str, source: Flow, parameters: int = 0) -> LayerGeometry:
    """A layer that keeps shape and field: batch norm, activation, dropout."""
    return LayerGeometry(path, layer_type, source, source, parameters=parameters)


def addition(path: str, layer_type: str, left: Flow, right: Flow) -> LayerGeometry:
    """Element-wise sum of two maps of one shape. Raises `InvalidInput` when the shapes differ."""
    if left.shape != right.shape:
        raise InvalidInput(path, f"both branches must agree, one gives {list(left.shape)}", list(right.shape))
    return LayerGeometry(path, layer_type, left, replace(left, field=left.field.union(right.field, left.grid)))


def _fitting(window: Window, source: Flow, path: str) -> Size:
    for axis, side in enumerate(("height", "width")):
        padded = window.padded(source.grid, axis)
        if window.span(axis) > padded:
            raise InvalidInput(f"{path}.kernel", f"must fit into the padded {side} of {padded}", window.span(axis))
    return window.output(source.grid)


def _map_channels(source: Flow, path: str) -> int:
    if len(source.shape) != 3:
        raise InvalidInput(path, "needs a [channels, height, width] input", list(source.shape))
    return source.shape[0]
