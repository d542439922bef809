from __future__ import annotations

from math import floor, prod
from typing import Any, Literal

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from model import geometry, net
from model.architecture import Layer, named
from model.geometry import LayerGeometry
from model.recipe import Head, Input, Recipe
from service.core.errors import InvalidInput
from service.core.geometry import Field, Window

Table = dict[str, Any]  #: a layer as TOML gives it
LAYERS: TypeAdapter[tuple[Layer, ...]] = TypeAdapter(tuple[Layer, ...])

small = st.integers(1, 3)
pairs = st.tuples(small, small)
pads = st.integers(0, 3)
paddings = st.one_of(pads, st.tuples(pads, pads), st.tuples(pads, pads, pads, pads), st.just("same"))


@st.composite
def convolutions(draw: st.DrawFn, channels: int, stride: st.SearchStrategy[Any] = pairs) -> Table:
    groups = draw(st.sampled_from([number for number in (1, 2, 3, 4) if channels % number == 0]))
    return {
        "type": "conv",
        "filters": groups * draw(small),
        "groups": groups,
        "kernel": draw(pairs),
        "stride": draw(stride),
        "dilation": draw(pairs),
        "padding": draw(paddings),
        "bias": draw(st.booleans()),
    }


@st.composite
def pools(draw: st.DrawFn, kind: str) -> Table:
    kernel = draw(pairs)
    padding = draw(st.tuples(st.integers(0, kernel[0] // 2), st.integers(0, kernel[1] // 2)))
    return {"type": kind, "kernel": kernel, "stride": draw(st.none() | pairs), "padding": padding}


@st.composite
def blocks(draw: st.DrawFn, channels: int) -> Table:
    """A residual block: "same" convolutions to some width, on both branches at one stride."""
    filters, stride = draw(small), draw(small)
    inner = {"type": "conv", "filters": filters, "kernel": draw(pairs), "stride": stride, "padding": "same"}
    shortcut = {"type": "conv", "filters": filters, "kernel": 1, "stride": stride}
    straight = filters == channels and stride == 1 and draw(st.booleans())
    return {"type": "residual", "layers": [inner, {"type": "batch_norm"}], "projection": [] if straight else [shortcut]}


@st.composite
def networks(draw: st.DrawFn) -> Recipe:
    """A recipe of up to five random layers on a random input, then flatten and dense."""
    channels: Literal[1, 3] = draw(st.sampled_from([1, 3]))
    size = draw(st.tuples(st.integers(4, 14), st.integers(4, 14)))
    tables: list[Table] = []
    width: int = channels
    for kind in draw(st.lists(st.sampled_from(["conv", "conv", "max_pool", "avg_pool", "norm", "block"]), max_size=5)):
        match kind:
            case "conv":
                tables.append(draw(convolutions(width)))
                width = tables[-1]["filters"]
            case "block":
                tables.append(draw(blocks(width)))
                width = tables[-1]["layers"][0]["filters"]
            case "norm":
                tables += [{"type": "batch_norm"}, {"type": draw(st.sampled_from(["relu", "silu", "tanh"]))}]
            case _:
                tables.append(draw(pools(kind)))
    tail = [{"type": "global_avg_pool"}] if draw(st.booleans()) else []
    layers = named(LAYERS.validate_python([*tables, *tail, {"type": "flatten"}, {"type": "dense", "units": 2}]))
    assume(_fits(layers, channels, size))
    return Recipe("random", Input(channels, *size), layers, Head("softmax", ("a", "b")))


def _fits(layers: tuple[Layer, ...], channels: int, size: tuple[int, int]) -> bool:
    try:
        list(geometry.walk(layers, geometry.image(channels, size)))
    except InvalidInput:
        return False
    return True


def _run(made: Recipe) -> tuple[dict[str, tuple[int, ...]], nn.Module, int]:
    """Output shape per module path, the net, and the MACs that torch itself counts."""
    built = net.build(made).eval()
    shapes: dict[str, tuple[int, ...]] = {}
    for path, module in built.named_modules():
        module.register_forward_hook(
            lambda _module, _inputs, output, path=path: shapes.__setitem__(path, tuple(output.shape[1:]))
        )
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        built(torch.zeros(1, made.input.channels, made.input.height, made.input.width))
    return shapes, built, counter.get_total_flops() // 2


@settings(max_examples=80, deadline=None)
@given(networks())
def test_sizes_parameters_and_macs_are_those_of_torch(made: Recipe) -> None:
    """For any layers, asymmetric padding, dilation and groups included, torch agrees on every number."""
    shapes, built, macs = _run(made)
    rows = made.geometry()

    for row in rows:
        assert (row.path, row.target.shape) == (row.path, shapes[row.path])
        if row.type != "residual":  # whose layers have rows of their own
            own = sum(weight.numel() for weight in built.get_submodule(row.path).parameters())
            assert (row.path, row.parameters) == (row.path, own)
    assert sum(row.parameters for row in rows) == sum(weight.numel() for weight in built.parameters())
    assert sum(row.macs for row in rows) == macs


@settings(max_examples=80, deadline=None)
@given(networks())
def test_the_formula_says_what_it_equals(made: Recipe) -> None:
    """The printed arithmetic, evaluated, gives the printed result, which is the layer's size."""
    for row in made.geometry():
        for axis, formula in enumerate(row.formulas):
            left, right = formula.split(" = ")
            assert eval(left, {"floor": floor}) == int(right) == row.target.grid[axis]  # noqa: S307  # our own text


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_receptive_field_is_where_the_gradient_is(data: st.DataObject) -> None:
    """With positive weights everywhere, the gradient of one unit covers exactly the pixels of its field."""
    tables = [data.draw(convolutions(1)) | {"filters": 1, "groups": 1} for _ in range(2)]
    shortcut = {"type": "conv", "filters": 1, "kernel": 1}
    wide = {"type": "conv", "filters": 1, "kernel": data.draw(pairs), "padding": "same"}
    block = {"type": "residual", "layers": [wide], "projection": [shortcut], "activation": None}
    pool = data.draw(pools("avg_pool"))
    layers = named(LAYERS.validate_python([tables[0], block, pool, tables[1]]))
    size = 90
    *_, last = geometry.walk(layers, geometry.image(1, (size, size)))
    rest = named((*layers, *LAYERS.validate_python([{"type": "flatten"}])))
    labels = tuple(str(number) for number in range(prod(last.target.grid)))
    made = Recipe("field", Input(1, size, size), rest, Head("softmax", labels))
    built = net.build(made)
    for weight in built.parameters():
        nn.init.ones_(weight)

    pixels = torch.zeros(1, 1, size, size, requires_grad=True)
    unit = [grid // 2 for grid in last.target.grid]
    built(pixels)[0, unit[0] * last.target.grid[1] + unit[1]].backward()

    assert pixels.grad is not None
    touched = pixels.grad[0, 0].nonzero()
    field = last.target.field
    first = [field.start[axis] + unit[axis] * field.jump[axis] for axis in (0, 1)]
    assert first == touched.min(0).values.tolist()
    assert [first[axis] + field.size[axis] - 1 for axis in (0, 1)] == touched.max(0).values.tolist()


def test_the_textbook_example() -> None:
    """Three 3x3 convolutions, the second with stride 2, see 3, 5 and 9 pixels."""
    field = Field()
    sizes = []
    for stride in (1, 2, 1):
        field = field.through(Window((3, 3), (stride, stride), padding=(1, 1, 1, 1)))
        sizes.append(field.size[0])

    assert sizes == [3, 5, 9]
    assert field == Field(size=(9, 9), jump=(2, 2), start=(-4, -4))


@pytest.mark.parametrize(("size", "stride", "expected"), [(5, 1, 5), (5, 2, 3), (6, 2, 3), (7, 3, 3)])
def test_same_padding_gives_the_rounded_up_quotient(size: int, stride: int, expected: int) -> None:
    """Padding "same" means out = ceil(in / stride), the odd pixel at the bottom and right."""
    window = Window((4, 4), (stride, stride))
    sides = geometry.sides("same", window, (size, size))

    padded = Window((4, 4), (stride, stride), padding=sides)
    assert padded.output((size, size)) == (expected, expected)
    assert sides[2] - sides[0] in (0, 1)


def test_a_dense_layer_sees_all_that_its_inputs_see() -> None:
    """After flatten, a dense unit's field spans the fields of the whole map."""
    source = geometry.image(1, (8, 6))
    conv = geometry.convolution("conv", source, Window((3, 3)), 2, bias=False)
    flat = geometry.flatten("flat", conv.target)
    rows: list[LayerGeometry] = [conv, flat, geometry.dense("dense", flat.target, 2, bias=True)]

    assert rows[-1].target.field.size == (8, 6)
    assert rows[-1].macs == 2 * 2 * 6 * 4
