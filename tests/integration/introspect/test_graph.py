from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from service.core.errors import InvalidInput
from service.core.graph import TensorType, ancestors
from service.engine import graph
from service.rpc.pb.vitrine.internal import onnx_pb2 as pb


@pytest.mark.parametrize("dtype", sorted(graph.DTYPES))
@pytest.mark.parametrize("raw", [True, False])
def test_tensors_are_read_as_the_onnx_package_reads_them(dtype: int, raw: bool) -> None:  # noqa: FBT001
    """Every type that has a NumPy name, stored as bytes or as numbers."""
    values = np.array([[0, 1, 1], [3, 0, 7]]).astype(graph.DTYPES[dtype])
    data = values.tobytes() if raw else values.ravel()
    tensor = helper.make_tensor("t", dtype, values.shape, data, raw=raw)

    read = graph.to_array(pb.Tensor.FromString(tensor.SerializeToString()))

    assert read.dtype == values.dtype
    np.testing.assert_array_equal(numpy_helper.to_array(tensor), read)


def test_tensors_in_another_file_are_refused() -> None:
    """Vitrine serves single files, and says so instead of reading zeros."""
    tensor = pb.Tensor(name="w", data_type=1, dims=[1], data_location=1)

    with pytest.raises(InvalidInput, match="tensor w: must lie inside the model file, got external data"):
        graph.to_array(tensor)


def test_bytes_that_are_no_model_are_refused() -> None:
    """The message says what was expected."""
    with pytest.raises(InvalidInput, match="file: must be an ONNX model"):
        graph.read(b"\xff\xfe not a protobuf")


def test_a_graph_holds_what_the_file_says(residual: bytes) -> None:
    """Nodes in order, inputs and outputs, weights as arrays, types per item."""
    read = graph.read(residual)

    assert (read.inputs, read.outputs) == (("image",), ("logits",))
    assert [node.op for node in read.nodes].count("BatchNormalization") == 2
    assert read.constants["stem.0.weight"].shape == (6, 3, 3, 3)
    assert read.types["logits"] == TensorType("float32", (4,))
    (stem,) = (node for node in read.nodes if "stem.0.weight" in node.inputs)
    assert stem.integers("pads", ()) == (1, 1, 1, 1)
    assert read.activations(stem) == (stem.inputs[0],)


def test_a_tapped_file_holds_only_what_its_tensors_need(residual: bytes) -> None:
    """The graph ends at the wanted tensor, whose weights stay; metadata and opset of the file are kept."""
    read = graph.read(residual)
    (stem,) = (node for node in read.nodes if "stem.0.weight" in node.inputs)

    cut = onnx.load_from_string(graph.tapped(graph.parse(residual), [stem.output]))

    assert [value.name for value in cut.graph.output] == [stem.output]
    assert [list(node.output) for node in cut.graph.node][-1] == [stem.output]
    assert {tensor.name for tensor in cut.graph.initializer} == {"image/scale", "image/shift", "stem.0.weight"}
    assert cut.opset_import[0].version == 18
    assert [prop.key for prop in cut.metadata_props] == ["vitrine.spec"]


def test_a_loop_needs_the_tensors_that_its_body_uses() -> None:
    """A subgraph's outer tensors are kept when a graph is cut."""
    body = helper.make_graph(
        [helper.make_node("Add", ["outer", "one"], ["inner"])],
        "then",
        [],
        [helper.make_tensor_value_info("inner", 1, [1])],
        [helper.make_tensor("one", 1, [1], [1.0])],
    )
    nodes = [
        helper.make_node("Neg", ["x"], ["outer"]),
        helper.make_node("Abs", ["x"], ["unused"]),
        helper.make_node("If", ["choose"], ["y"], then_branch=body, else_branch=body),
    ]
    choose = helper.make_tensor("choose", onnx.TensorProto.BOOL, [], [True])
    whole = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", 1, [1])], [], [choose])
    model = helper.make_model(whole).SerializeToString()

    assert [node.op for node in ancestors(graph.read(model), ["y"])] == ["Neg", "If"]
    assert [node.op_type for node in graph.parse(graph.tapped(graph.parse(model), ["y"])).graph.node] == ["Neg", "If"]


def test_constants_may_be_nodes() -> None:
    """In every spelling that ONNX has; they are weights like others, not operations."""
    spellings = {
        "a": {"value_float": 1.5},
        "b": {"value_floats": [1.5, 2.5]},
        "c": {"value_int": 3},
        "d": {"value_ints": [3, 4]},
        "e": {"value": numpy_helper.from_array(np.array([[5]], np.int8))},
        "f": {"value_strings": ["g", "h"]},
    }
    nodes = [helper.make_node("Constant", [], [name], **value) for name, value in spellings.items()]  # type: ignore[arg-type]
    nodes.append(helper.make_node("Relu", ["x"], ["y"]))
    face = [helper.make_tensor_value_info(name, 1, ["N"]) for name in ("x", "y")]
    model = helper.make_model(helper.make_graph(nodes, "g", face[:1], face[1:]))

    read = graph.read(model.SerializeToString())

    assert [node.op for node in read.nodes] == ["Relu"]
    assert {name: value.tolist() for name, value in read.constants.items()} == {
        "a": 1.5,
        "b": [1.5, 2.5],
        "c": 3,
        "d": [3, 4],
        "e": [[5]],
        "f": ["g", "h"],
    }


def test_a_file_without_a_graph_is_no_model() -> None:
    """Protobuf reads nearly anything."""
    with pytest.raises(InvalidInput, match="must be an ONNX model with a graph, got 0 bytes without"):
        graph.parse(b"")


def test_types_without_a_numpy_name_are_refused() -> None:
    """The message lists those that are read."""
    with pytest.raises(InvalidInput, match=r"tensor w: a type out of float32, uint8, .*, got 16"):
        graph.to_array(pb.Tensor(name="w", data_type=16, dims=[1], raw_data=b"ab"))
