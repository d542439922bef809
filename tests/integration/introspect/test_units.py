from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import helper

from service.core.activations import function
from service.core.arithmetic import explain, needed
from service.core.errors import InvalidInput, Refused
from service.core.graph import Array, Graph
from service.core.introspection import Kernels
from service.core.layers import LayerInfo, find
from service.core.maps import as_maps, maps_shape
from service.core.tuning import Setting
from service.core.units import (
    ActivationUnit,
    ConvUnit,
    DenseUnit,
    Explained,
    MergeUnit,
    NormUnit,
    PoolUnit,
    SoftmaxUnit,
)
from service.engine import graph as files
from service.engine.taps import TapSessions, TapSource
from service.introspect.layers import Anatomy, study
from tests import nets

CPU = Setting("cpu", "fp32", 1, 1, 4)


class Glass:
    """One network, one picture, every tensor."""

    def __init__(self, name: str, picture: NDArray[np.uint8] | None = None) -> None:
        file, self.spec = nets.exported(name)
        sessions = TapSessions(max_bytes=1 << 26)
        source = TapSource("d", CPU, lambda: file)
        self.anatomy: Anatomy = study(source, self.spec, sessions)
        self.graph: Graph = self.anatomy.graph
        if picture is None:
            picture = np.random.default_rng(5).integers(0, 256, self.spec.shape, np.uint8)
        wanted = [*dict.fromkeys(name for layer in self.anatomy.layers for name in needed(self.graph, layer))]
        given = {"image": picture[np.newaxis]}
        computed = [name for name in wanted if name not in given]
        self.values: Mapping[str, Array] = {
            **given,
            **sessions.get(source, computed, Kernels.REFERENCE).session.run(picture[np.newaxis]),
        }

    def layer(self, id: str) -> LayerInfo:
        return find(self.anatomy.layers, id)

    def explain(self, id: str, channel: int, y: int = 0, x: int = 0) -> Explained:
        return explain(self.graph, self.layer(id), (channel, y, x), self.values)


_glass = cache(Glass)


@pytest.fixture
def glass(name: str) -> Glass:
    return _glass(name)


def test_the_guides_example() -> None:
    """Pixels 0 to 8 under the kernel 0 to 3: four dot products that everybody can check."""
    guide = Glass("guide", np.arange(9, dtype=np.uint8).reshape(3, 3, 1))
    products = {}
    for y in (0, 1):
        for x in (0, 1):
            explained = guide.explain("conv", 0, y, x)
            assert isinstance(explained.unit, ConvUnit)
            (patch,) = explained.unit.patches
            products[y, x] = patch.products.ravel().tolist()
            assert explained.unit.bias == 0
            assert explained.residual == 0
            assert explained.value == patch.sum == sum(products[y, x])

    assert products == {
        (0, 0): [0 * 0, 1 * 1, 3 * 2, 4 * 3],
        (0, 1): [1 * 0, 2 * 1, 4 * 2, 5 * 3],
        (1, 0): [3 * 0, 4 * 1, 6 * 2, 7 * 3],
        (1, 1): [4 * 0, 5 * 1, 7 * 2, 8 * 3],
    }
    assert [sum(each) for each in products.values()] == [19, 25, 37, 43]


def test_the_arithmetic_of_every_layer_adds_up(glass: Glass) -> None:
    """Corners and random units of every layer, within 1e-4 of the layer's largest value (mostly 1e-6)."""
    rng = np.random.default_rng(11)
    for layer in glass.anatomy.layers:
        shape = maps_shape(layer.type.shape)
        scale = float(np.abs(glass.values[layer.tensor]).max())
        corners = [(shape[0] - 1, 0, 0), (0, shape[1] - 1, shape[2] - 1)]
        places = [*corners, *(tuple(int(rng.integers(side)) for side in shape) for _ in range(12))]
        for channel, y, x in places:
            explained = glass.explain(layer.id, channel, y, x)
            assert explained.value == as_maps(glass.values[layer.tensor][0])[channel, y, x]
            assert explained.residual <= 1e-4 * scale, (layer.id, channel, y, x)


@pytest.mark.parametrize(
    ("name", "id", "kind"),
    [
        ("residual", "stem.1", NormUnit),
        ("residual", "pool", PoolUnit),
        ("residual", "fc", DenseUnit),
        ("residual", "stem", NormUnit),
        ("mobile", "stem.2", ActivationUnit),
        ("mobile", "depthwise.0", ConvUnit),
        ("sided", "sided", ConvUnit),
        ("sided", "flatten", MergeUnit),
        ("branches", "share", SoftmaxUnit),
        ("branches", "pool", PoolUnit),
        ("branches", "tensor:cat", MergeUnit),
    ],
)
def test_layers_are_explained_in_their_own_terms(glass: Glass, id: str, kind: type) -> None:
    """A block as its last operation."""
    assert isinstance(glass.explain(id, 1).unit, kind)


def test_padding_is_marked_and_partial_sums_are_sorted() -> None:
    """Corner of a convolution padded by 0, 1, 2, 3 with stride 2: nothing above, one column left."""
    explained = _glass("sided").explain("sided", 2, 0, 0)

    assert isinstance(explained.unit, ConvUnit)
    assert {patch.channel for patch in explained.unit.patches} == {0, 1, 2}
    for patch in explained.unit.patches:
        assert patch.is_padding.tolist() == [[True, False, False]] * 3
        assert (patch.values[patch.is_padding] == 0).all()
    sums = [abs(patch.sum) for patch in explained.unit.patches]
    assert sums == sorted(sums, reverse=True)
    assert sum(patch.sum for patch in explained.unit.patches) + explained.unit.bias == pytest.approx(explained.computed)


def test_a_group_sees_its_own_channels_only() -> None:
    """The second of two groups of a convolution of six channels."""
    explained = _glass("sided").explain("dilated", 5, 4, 3)

    assert isinstance(explained.unit, ConvUnit)
    assert sorted(patch.channel for patch in explained.unit.patches) == [3, 4, 5]
    assert explained.unit.window.dilation == (2, 1)


def test_a_maximum_names_its_winner() -> None:
    """The place in the window, and the window's place in the map."""
    glass = _glass("sided")
    explained = glass.explain("maxpool", 3, 1, 1)

    assert isinstance(explained.unit, PoolUnit)
    assert explained.unit.winner is not None
    assert explained.unit.values[explained.unit.winner] == explained.value == explained.unit.values.max()
    source = glass.values[glass.layer("maxpool").inputs[0]][0, 3]
    at = explained.unit.at
    np.testing.assert_array_equal(source[at.y0 : at.y1, at.x0 : at.x1], explained.unit.values)


@pytest.mark.parametrize(("name", "id", "divisor"), [("sided", "avgpool", 4), ("branches", "average", 4)])
def test_a_mean_says_what_it_divides_by(glass: Glass, id: str, divisor: float) -> None:
    """In the corner: padding counts in the one (of 2x2), not in the other (4 of 3x3)."""
    unit = glass.explain(id, 0, 0, 0).unit

    assert isinstance(unit, PoolUnit)
    assert unit.divisor == divisor
    assert unit.winner is None


def test_a_dense_unit_lists_its_inputs_by_weight_in_the_sum() -> None:
    """The largest product first."""
    unit = _glass("sided").explain("hidden", 7).unit

    assert isinstance(unit, DenseUnit)
    products = np.abs(unit.inputs * unit.weights)[unit.order]
    assert (np.diff(products) <= 0).all()
    assert len(products) == 192


def test_activations_show_their_formula() -> None:
    """With their settings filled in; SiLU though ONNX spells it as two operations."""
    assert _formula("mobile", "stem.2") == ("silu", "x * sigmoid(x)")
    assert _formula("mobile", "hardswish") == ("hard_swish", "x * clip(x / 6 + 0.5, 0, 1)")
    assert _formula("mobile", "relu6") == ("clip", "clip(x, 0, 6)")
    assert _formula("sided", "leaky") == ("leaky_relu", "x if x > 0 else 0.1 * x")


def _formula(name: str, id: str) -> tuple[str, str]:
    unit = _glass(name).explain(id, 0).unit
    assert isinstance(unit, ActivationUnit)
    return unit.name, unit.formula


@pytest.mark.parametrize(
    ("place", "message"),
    [((8, 0, 0), "channel: 0 to 7 in layer conv1, got 8"), ((0, 10, 0), "y: 0 to 9"), ((0, 0, -1), "x: 0 to 8")],
)
def test_a_unit_that_is_not_there(place: tuple[int, int, int], message: str) -> None:
    """The message names the limit."""
    with pytest.raises(InvalidInput, match=message):
        _glass("residual").explain("conv1", *place)


def test_an_operation_without_an_explanation_says_so() -> None:
    """Better than a wrong one."""
    glass = _glass("residual")
    node = next(node for node in glass.graph.nodes if node.output == glass.layer("act").tensor)
    strange = Graph(
        tuple(n if n is not node else type(n)(n.name, "Strange", n.inputs, n.outputs) for n in glass.graph.nodes),
        glass.graph.inputs,
        glass.graph.outputs,
        glass.graph.constants,
        glass.graph.types,
    )

    with pytest.raises(Refused, match="layer act: the arithmetic of Strange is not explained"):
        explain(strange, glass.layer("act"), (0, 0, 0), glass.values)


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("Elu", {"alpha": 0.7}),
        ("Erf", {}),
        ("Gelu", {}),
        ("Gelu", {"approximate": "tanh"}),
        ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}),
        ("HardSwish", {}),
        ("LeakyRelu", {"alpha": 0.2}),
        ("Mish", {}),
        ("Relu", {}),
        ("Selu", {}),
        ("Sigmoid", {}),
        ("Softplus", {}),
        ("Softsign", {}),
        ("Tanh", {}),
    ],
)
def test_functions_are_onnx_runtimes(op: str, attributes: dict[str, Any]) -> None:
    """Over the range that networks use."""
    x = np.linspace(-8, 8, 65, dtype=np.float32)

    graph, y = _run(helper.make_node(op, ["x"], ["y"], **attributes), x, {})

    ours = function(graph, graph.nodes[0], 0)
    assert ours is not None
    np.testing.assert_allclose([ours.apply(float(each)) for each in x], y, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("op", "constants"),
    [
        ("Clip", {"low": np.float32(-1), "high": np.float32(2)}),
        ("Clip", {"low": np.float32(-1)}),
        ("PRelu", {"slope": np.array([0.3], np.float32)}),
    ],
)
def test_functions_with_constants_are_onnx_runtimes(op: str, constants: dict[str, Array]) -> None:
    """Bounds and slopes are inputs in ONNX."""
    x = np.linspace(-4, 4, 33, dtype=np.float32)

    graph, y = _run(helper.make_node(op, ["x", *constants], ["y"]), x, constants)

    ours = function(graph, graph.nodes[0], 0)
    assert ours is not None
    np.testing.assert_allclose([ours.apply(float(each)) for each in x], y, rtol=1e-6)


@pytest.mark.parametrize(
    ("op", "inputs"),
    [
        ("Sub", ["x", "k"]),
        ("Div", ["k", "x"]),
        ("Max", ["x", "k"]),
        ("Min", ["x", "k", "x"]),
        ("Mean", ["x", "k"]),
        ("Sum", ["x", "x"]),
        ("Pow", ["x", "k"]),
    ],
)
def test_joins_broadcast_as_onnx_runtime_does(op: str, inputs: list[str]) -> None:
    """A constant per channel against a map."""
    x = np.arange(1, 25, dtype=np.float32).reshape(1, 2, 3, 4)
    k = np.array([2, 3], np.float32).reshape(2, 1, 1)

    graph, y = _run(helper.make_node(op, inputs, ["y"]), x, {"k": k})

    layer = LayerInfo("y", "y", 0, "", "node", frozenset(), (op,), "y", graph.types["y"], ("x",))
    explained = explain(graph, layer, (1, 2, 3), {"x": x, "y": y})
    assert isinstance(explained.unit, MergeUnit)
    assert len(explained.unit.terms) == len(inputs)
    assert explained.residual <= 1e-4 * abs(explained.value)


def _run(node: onnx.NodeProto, x: Array, constants: Mapping[str, Array]) -> tuple[Graph, Array]:
    """The graph of one operation, and what ONNX Runtime makes of `x`."""
    values = [helper.make_tensor(name, 1, value.shape, value.ravel()) for name, value in constants.items()]
    shape = ["N", *x.shape[1:]]
    face = [helper.make_tensor_value_info(name, 1, shape) for name in ("x", "y")]
    graph = helper.make_graph([node], "g", face[:1], face[1:], values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()
    (y,) = ort.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    return files.read(model), y


def test_matmul_and_add_are_one_dense_layer() -> None:
    """As other exporters write it."""
    x, bias = np.array([[1, 2]], np.float32), np.array([10, 20, 30], np.float32)
    weight = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "b"], ["y"])]
    constants = [helper.make_tensor("w", 1, [2, 3], weight.ravel()), helper.make_tensor("b", 1, [3], bias)]
    face = [helper.make_tensor_value_info(name, 1, ["N", size]) for name, size in (("x", 2), ("y", 3))]
    model = helper.make_model(helper.make_graph(nodes, "g", face[:1], face[1:], constants))
    graph = files.read(model.SerializeToString())
    layer = LayerInfo("fc", "fc", 0, "Linear", "module", frozenset(), ("MatMul", "Add"), "y", graph.types["y"], ("x",))

    explained = explain(graph, layer, (2, 0, 0), {"x": x, "m": x @ weight, "y": x @ weight + bias})

    assert isinstance(explained.unit, DenseUnit)
    assert (explained.computed, explained.residual, explained.unit.bias) == (45, 0, 30)
    assert explained.unit.order.tolist() == [1, 0]


def test_what_must_be_tapped_is_named() -> None:
    """The layer's own tensor, and the inputs of its last operation."""
    glass = _glass("residual")
    conv = glass.layer("conv1")

    assert needed(glass.graph, conv) == (conv.tensor, conv.inputs[0])
