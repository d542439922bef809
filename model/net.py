"""The network of a recipe. Module paths are the recipe's layer names, and so the public names of the served layers.

A net takes normalised float32 [N, channels, height, width] and gives logits [N, labels]; `normalise` is the
arithmetic that the exporter writes into the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional

from model import geometry
from model.architecture import (
    Activate,
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    MaxPool,
    Residual,
)
from model.geometry import Flow
from model.recipe import Recipe
from service.core.errors import InvalidInput
from service.core.geometry import Sides
from service.core.spec import Preprocess


class Net(nn.Sequential):
    """Layers one after the other, each under its own name."""


class SidedConv2d(nn.Conv2d):
    """A convolution whose padding differs by side, which `nn.Conv2d` cannot say; one module, so one named layer.

    `sides` is (top, left, bottom, right).
    """

    def __init__(self, *args: int, sides: Sides, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they are
        self.sides = sides

    def forward(self, images: Tensor) -> Tensor:
        """Pad with zeros, then convolve."""
        top, left, bottom, right = self.sides
        return super().forward(functional.pad(images, (left, right, top, bottom)))

    def extra_repr(self) -> str:
        """The sides too, in `print(net)`."""
        return f"{super().extra_repr()}, sides={self.sides}"  # type: ignore[no-untyped-call]  # torch leaves it untyped


class ResidualBlock(nn.Module):
    """`activation(body(x) + projection(x))`; the body's layers are direct children, so paths stay short."""

    projection: nn.Module
    activation: nn.Module

    def __init__(self, body: Iterable[tuple[str, nn.Module]], projection: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        for name, module in body:
            self.add_module(name, module)
        self.body = tuple(self._modules)
        self.projection = projection
        self.activation = activation

    def forward(self, images: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', H', W']."""
        inner = images
        for name in self.body:
            inner = self.get_submodule(name)(inner)
        out: Tensor = self.activation(inner + self.projection(images))
        return out


def build(recipe: Recipe) -> Net:
    """The recipe's network with fresh weights, drawn from torch's global generator (He et al. 2015 for convolutions).

    Raises `InvalidInput` when a name is one that torch modules use themselves, or fixed weights have a wrong shape.
    """
    source = geometry.image(recipe.input.channels, (recipe.input.height, recipe.input.width))
    net = Net()
    for name, module in _modules(recipe.layers, source):
        net.add_module(name, module)
    return net


def normalise(pixels: Tensor, preprocess: Preprocess) -> Tensor:
    """Pixels in 0..255, [N, channels, height, width] of any dtype, to `(pixel * scale - mean) / std` in float32."""
    shape = (1, -1, 1, 1)
    mean = torch.tensor(preprocess.mean, dtype=torch.float32).view(shape)
    std = torch.tensor(preprocess.std, dtype=torch.float32).view(shape)
    return (pixels.to(torch.float32) * preprocess.scale - mean) / std


def _modules(layers: Sequence[Layer], source: Flow) -> Iterator[tuple[str, nn.Module]]:
    for layer in layers:
        if hasattr(nn.Module, layer.name):
            raise InvalidInput("layers.name", "must not be a name that torch modules use", layer.name)
        yield layer.name, _module(layer, source)
        source = _after(layer, source)


def _after(layer: Layer, source: Flow) -> Flow:
    *_, last = geometry.walk((layer,), source)
    return last.target


def _module(layer: Layer, source: Flow) -> nn.Module:  # noqa: C901, PLR0911  # one case per kind of layer
    channels = source.shape[0]
    match layer:
        case Conv():
            return _conv(layer, source)
        case BatchNorm():
            return nn.BatchNorm2d(channels, momentum=layer.momentum)
        case MaxPool():
            return nn.MaxPool2d(layer.kernel, layer.stride, layer.padding)
        case AvgPool():
            return nn.AvgPool2d(layer.kernel, layer.stride, layer.padding)
        case GlobalAvgPool():
            return nn.AdaptiveAvgPool2d(1)
        case Flatten():
            return nn.Flatten()
        case Dense():
            return nn.Linear(channels, layer.units, bias=layer.bias)
        case Dropout():
            return nn.Dropout(layer.rate)
        case Activate():
            return _activation(layer)
        case Residual():
            return _residual(layer, source)
        case _:
            assert_never(layer)


def _conv(layer: Conv, source: Flow) -> nn.Conv2d:
    window = geometry.conv_window(layer, source.grid)
    top, left, bottom, right = window.padding
    args = (source.shape[0], layer.filters, layer.kernel, layer.stride)
    rest = {"dilation": layer.dilation, "groups": layer.groups, "bias": layer.bias}
    if (top, left) == (bottom, right):
        conv = nn.Conv2d(*args, padding=(top, left), **rest)  # type: ignore[arg-type]  # mypy merges the dict's types
    else:
        conv = SidedConv2d(*args, sides=window.padding, **rest)  # type: ignore[arg-type]  # likewise
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if layer.weights is not None:
        _fix(conv, layer)
    return conv


def _fix(conv: nn.Conv2d, layer: Conv) -> None:
    try:
        weights = torch.tensor(layer.weights, dtype=torch.float32)
    except ValueError as error:
        raise InvalidInput(f"{layer.name}.weights", "must be a regular 4-dimensional array", error) from None
    if weights.shape != conv.weight.shape:
        raise InvalidInput(f"{layer.name}.weights", f"must have shape {list(conv.weight.shape)}", list(weights.shape))
    with torch.no_grad():
        conv.weight.copy_(weights)
        if conv.bias is not None:
            conv.bias.zero_()


def _activation(layer: Activate) -> nn.Module:
    match layer.type:
        case "relu":
            return nn.ReLU()
        case "leaky_relu":
            return nn.LeakyReLU(layer.slope)
        case "silu":
            return nn.SiLU()
        case "tanh":
            return nn.Tanh()
        case "sigmoid":
            return nn.Sigmoid()


def _residual(block: Residual, source: Flow) -> ResidualBlock:
    projection = nn.Sequential()
    for name, module in _modules(block.projection, source):
        projection.add_module(name, module)
    return ResidualBlock(
        _modules(block.layers, source),
        projection if block.projection else nn.Identity(),
        nn.Identity() if block.activation is None else _activation(Activate(block.activation)),
    )
