"""Output sizes, receptive fields, parameters and MACs: pure arithmetic, checked against torch in the tests.

Follows Dumoulin & Visin, "A guide to convolution arithmetic for deep learning" (2016), and for receptive fields
Araujo, Norris & Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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

Size = tuple[int, int]  #: (height, width)
Sides = tuple[int, int, int, int]  #: (top, left, bottom, right)
Shape = tuple[int, ...]  #: per item: (channels, height, width), or (features,) once flattened


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding window: a convolution's kernel or a pool's."""

    kernel: Size
    stride: Size = (1, 1)
    dilation: Size = (1, 1)
    padding: Sides = (0, 0, 0, 0)

    def span(self, axis: int) -> int:
        """Input positions from the first to the last tap, both included."""
        return self.dilation[axis] * (self.kernel[axis] - 1) + 1

    def padded(self, size: Size, axis: int) -> int:
        """Input positions with padding."""
        return size[axis] + self.padding[axis] + self.padding[axis + 2]

    def output(self, size: Size) -> Size:
        """Output size; 0 or less where the dilated kernel is larger than the padded input."""
        return _pair((self.padded(size, axis) - self.span(axis)) // self.stride[axis] + 1 for axis in (0, 1))

    def formula(self, size: Size, axis: int) -> str:
        """The output size of one axis with its numbers filled in: floor((n+p+p-d*(k-1)-1)/s)+1 = result."""
        before, after = self.padding[axis], self.padding[axis + 2]
        inner = f"{size[axis]}+{before}+{after}-{self.dilation[axis]}*({self.kernel[axis]}-1)-1"
        return f"floor(({inner})/{self.stride[axis]})+1 = {self.output(size)[axis]}"


@dataclass(frozen=True, slots=True)
class Field:
    """Receptive field, per axis (height, width), in input pixels.

    Unit `i` sees the pixels from `start + i * jump` on, `size` of them; those below 0 or past the input are padding.
    """

    size: Size = (1, 1)
    jump: Size = (1, 1)
    start: Size = (0, 0)

    def through(self, window: Window) -> Field:
        """The field after one more window."""
        return Field(
            _pair(self.size[axis] + (window.span(axis) - 1) * self.jump[axis] for axis in (0, 1)),
            _pair(self.jump[axis] * window.stride[axis] for axis in (0, 1)),
            _pair(self.start[axis] - window.padding[axis] * self.jump[axis] for axis in (0, 1)),
        )

    def union(self, other: Field) -> Field:
        """The field of an element-wise sum of two maps."""
        start = _pair(map(min, self.start, other.start))
        ends = _pair(max(f.start[axis] + f.size[axis] for f in (self, other)) for axis in (0, 1))
        return Field(_pair(ends[axis] - start[axis] for axis in (0, 1)), _pair(map(max, self.jump, other.jump)), start)

    def whole(self, grid: Size) -> Field:
        """The field of something that sees all units of a map of `grid` units."""
        return replace(self, size=_pair(self.size[axis] + (grid[axis] - 1) * self.jump[axis] for axis in (0, 1)))


@dataclass(frozen=True, slots=True)
class Flow:
    """What runs from layer to layer. `grid` is the size of the last map, which a flattened input no longer shows."""

    shape: Shape
    grid: Size
    field: Field = Field()


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
        if self.window is None:
            return ()
        both = (self.window.formula(self.source.grid, 0), self.window.formula(self.source.grid, 1))
        return both[:1] if both[0] == both[1] else both


def image(channels: int, size: Size) -> Flow:
    """The network's input."""
    return Flow((channels, *size), size)


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
    """Padding in any of its spellings as (top, left, bottom, right).

    "same" makes the output ceil(size / stride); an odd pixel goes to the bottom and right (ONNX's SAME_UPPER).
    """
    if padding == "same":
        missing = _pair(
            max((-(-size[axis] // window.stride[axis]) - 1) * window.stride[axis] + window.span(axis) - size[axis], 0)
            for axis in (0, 1)
        )
        before = _pair(total // 2 for total in missing)
        return (*before, missing[0] - before[0], missing[1] - before[1])
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
    return LayerGeometry(path, layer_type, left, replace(left, field=left.field.union(right.field)))


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


def _pair(values: Iterable[int]) -> Size:
    first, second = values
    return (first, second)
