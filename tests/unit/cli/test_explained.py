"""The arithmetic of a unit in print."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from service.commands.explain import written
from service.core import units
from service.core.geometry import Box, Field, Window
from service.core.graph import TensorType
from service.core.introspection import Parity, UnitAnswer
from service.core.layers import LayerInfo
from service.core.messages import ModelKey

ONES = np.ones((1, 2))
PATCHES = tuple(
    units.Patch(channel, ONES * channel, ONES * 0.5, ONES * channel / 2, np.array([[False, channel == 3]]), channel)
    for channel in (3, 2, 1)
)
LAYER = LayerInfo(
    "stem", "stem", 0, "Conv2d", "module", frozenset(), ("Conv",), "stem", TensorType("float32", (4, 5, 6)), ("x",),
    field=Field((3, 3)),
)  # fmt: skip


def text(unit: units.Unit, top: int = 8) -> str:
    explained = units.Explained(7.5, 7.5000001, unit)
    field = Box(0, 1, 3, 4)
    answer = UnitAnswer(ModelKey("m", 1), "", "", LAYER, (1, 2, 3), explained, field, Parity(0, here=True), {})
    console = Console(width=160, record=True, markup=False)
    with console.capture() as printed:
        for part in written(answer, top):
            console.print(part)
    return " ".join(printed.get().split())


def test_a_convolution_shows_products_and_running_sums() -> None:
    """In the order of their weight; the padding is named, and what is left out is summed."""
    printed = text(units.ConvUnit(PATCHES, 1.5, Window((1, 2))), top=2)

    assert "stem [channel 1, y 2, x 3] = 7.5" in printed
    assert "sees rows 0 to 2, columns 1 to 3 of the picture" in printed
    assert "input channel 3 3 x 0.5 = 1.5 3 x 0.5 = 1.5 (padding)" in printed
    assert "3 3 3 2 2 5 1 more 1 6 bias 1.5 7.5" in printed
    assert "off by 1e-07" in printed


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (
            units.DenseUnit(np.array([1.0, 2.0, 3.0]), np.array([1.0, -4.0, 2.0]), np.array([1, 2, 0]), 0.25),
            "1 2 -4 -8 -8 2 3 2 6 -2 1 more 1 -1 bias 0.25 -0.75",
        ),
        (
            units.PoolUnit("max", np.array([[0.0, 7.5]]), np.array([[True, False]]), (0, 1), 1.0, Box(0, 0, 1, 2)),
            "the largest of padding 7.5 <-",
        ),
        (
            units.PoolUnit("average", np.array([[1.0, 2.0]]), np.zeros((1, 2), bool), None, 2.0, Box(0, 0, 1, 2)),
            "the sum, divided by 2, of 1 2",
        ),
        (units.ActivationUnit("ReLU", "max(x, 0)", -2.0), "ReLU: max(x, 0), x = -2"),
        (units.NormUnit(5.0, 1.0, 4.0, 1e-05, 2.0, 3.0), "= (5 - 1) / sqrt(4 + 1e-05) * 2 + 3"),
        (units.SoftmaxUnit(np.array([0.0, 1.0]), 1, is_log=False), "1 <- 1 1 73.1059% 0 0 0.3678794 26.8941%"),
        (units.MergeUnit("Add", (("left", 3.0), ("right", 4.5))), "Add from value"),
    ],
)
def test_every_kind_is_written_with_its_numbers(unit: units.Unit, expected: str) -> None:
    """What a pocket calculator needs."""
    assert expected in text(unit, top=2).replace("─", "").replace("  ", " ")
