from __future__ import annotations

import numpy as np
import pytest

from service.core.arithmetic import explain
from service.core.geometry import Box
from service.core.graph import Graph, Node, TensorType
from service.core.introspection import Parity, UnitAnswer
from service.core.layers import LayerInfo, Role
from service.core.messages import ModelKey
from service.core.units import PoolUnit
from service.rpc.introspection_answers import from_unit
from service.rpc.introspection_replies import to_unit

#: Taps two rows and three columns apart, of a 5 x 7 map that counts from 0.
POOL = Node("pool", "MaxPool", ("maps",), ("pool",), {"kernel_shape": (2, 2), "dilations": (2, 3)})
MAPS = np.arange(35, dtype=np.float32).reshape(1, 1, 5, 7)


@pytest.fixture
def answer() -> UnitAnswer:
    """The unit at row 1, column 2, which sees rows 1 and 3, columns 2 and 5."""
    types = {"maps": TensorType("float32", (1, 5, 7)), "pool": TensorType("float32", (1, 3, 4))}
    layer = LayerInfo(
        "pool", "pool", 0, "MaxPool2d", "module", frozenset({Role.POOL}), ("MaxPool",), "pool", types["pool"], ("maps",)
    )
    stored = np.full((1, 1, 3, 4), 26, np.float32)
    explained = explain(
        Graph((POOL,), ("maps",), ("pool",), {}, types), layer, (0, 1, 2), {"maps": MAPS, "pool": stored}
    )
    return UnitAnswer(ModelKey("m", 1), "d", "", layer, (0, 1, 2), explained, None, Parity(0.0, here=True), {})


def test_a_dilated_pool_arrives_with_all_that_it_spans(answer: UnitAnswer) -> None:
    """Its window ends behind its last tap, not after as many units as it has taps."""
    unit = to_unit(from_unit(answer), answer.place).explained.unit

    assert isinstance(unit, PoolUnit)
    assert unit.values.tolist() == [[9, 12], [23, 26]]
    assert unit.dilation == (2, 3)
    assert unit.at == Box(1, 2, 4, 6)


def test_a_pool_of_a_server_that_tells_no_dilation_has_none(answer: UnitAnswer) -> None:
    """Servers did not, once."""
    message = from_unit(answer)
    message.pool.ClearField("dilation")

    unit = to_unit(message, answer.place).explained.unit

    assert isinstance(unit, PoolUnit)
    assert unit.dilation == (1, 1)
    assert unit.at == Box(1, 2, 3, 4)
