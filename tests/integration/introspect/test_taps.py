from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

from service.core.errors import EngineFailed
from service.core.introspection import Kernels
from service.core.spec import OUTPUT_NAME, Spec
from service.core.tuning import Setting
from service.engine import graph
from service.engine.folding import surviving_tensors
from service.engine.session import infer, open_session
from service.engine.taps import TapSessions, TapSource

CPU = Setting("cpu", "fp32", 1, 1, 4)


class File:
    """A model file that counts how often it is read."""

    def __init__(self, data: bytes) -> None:
        self.reads = 0
        self._data = data

    def read(self) -> bytes:
        self.reads += 1
        return self._data


def source(file: File, digest: str = "d") -> TapSource:
    return TapSource(digest, CPU, file.read)


@pytest.mark.parametrize("kernels", list(Kernels))
def test_tapping_every_layer_leaves_the_logits_alone(
    file: bytes, spec: Spec, picture: NDArray[np.uint8], kernels: Kernels
) -> None:
    """Every layer's tensor comes in the shape that the spec promises, and the logits are the serving session's."""
    tensors = [layer.tensor for layer in spec.layers]
    sessions = TapSessions(max_bytes=1 << 24)

    tapped = sessions.get(source(File(file)), [*tensors, OUTPUT_NAME], kernels).session.run(picture[np.newaxis])

    assert {layer.tensor: (1, *layer.shape) for layer in spec.layers} == {name: tapped[name].shape for name in tensors}
    served = infer(open_session(file, CPU), picture[np.newaxis])
    assert np.abs(tapped[OUTPUT_NAME] - served).max() <= 1e-4


def test_reference_values_do_not_depend_on_what_else_is_tapped(
    file: bytes, spec: Spec, picture: NDArray[np.uint8]
) -> None:
    """A layer fetched alone, from a graph cut behind it, has the values that it has among all others."""
    sessions = TapSessions(max_bytes=1 << 24)
    everything = sessions.get(source(File(file)), [layer.tensor for layer in spec.layers], Kernels.REFERENCE)
    together = everything.session.run(picture[np.newaxis])

    for tensor in dict.fromkeys(layer.tensor for layer in spec.layers):
        alone = sessions.get(source(File(file)), [tensor], Kernels.REFERENCE).session.run(picture[np.newaxis])
        np.testing.assert_allclose(together[tensor], alone[tensor], rtol=1e-5, atol=1e-6)


def test_a_session_is_built_once(residual: bytes) -> None:
    """The second request for the same tensors, in any order, reads no file and reports no build time."""
    file = File(residual)
    sessions = TapSessions(max_bytes=1 << 24)

    first = sessions.get(source(file), ["logits", "relu"], Kernels.REFERENCE)
    second = sessions.get(source(file), ["relu", "logits", "relu"], Kernels.REFERENCE)

    assert first.build_s > 0.0
    assert second.build_s == 0.0
    assert second.session is first.session
    assert file.reads == 1


def test_the_least_recently_used_session_leaves_when_memory_is_short(residual: bytes) -> None:
    """What was just used stays."""
    sizes = {name: len(graph.tapped(graph.parse(residual), [name])) for name in ("relu", "relu_1", "logits")}
    sessions = TapSessions(max_bytes=sum(sizes.values()) - 1)
    file = File(residual)
    for name in ("relu", "relu_1", "relu", "logits"):
        sessions.get(source(file), [name], Kernels.REFERENCE)

    assert sessions.size_bytes == sizes["relu"] + sizes["logits"]
    assert sessions.get(source(file), ["relu"], Kernels.REFERENCE).build_s == 0.0
    assert sessions.get(source(file), ["relu_1"], Kernels.REFERENCE).build_s > 0.0


def test_an_unloaded_models_sessions_are_forgotten(residual: bytes) -> None:
    """Those of other models stay."""
    sessions = TapSessions(max_bytes=1 << 24)
    sessions.get(source(File(residual), "gone"), ["relu"], Kernels.REFERENCE)
    kept = sessions.get(source(File(residual), "kept"), ["relu"], Kernels.REFERENCE).session

    sessions.forget("gone")

    assert sessions.size_bytes == kept.size_bytes


def test_what_is_folded_is_read_off_the_runtimes_own_graph(residual: bytes) -> None:
    """A convolution before a batch norm does not survive serving; the activation behind them does."""
    outputs = {node.op: node.output for node in graph.read(residual).nodes}
    survivors = surviving_tensors(residual)

    assert outputs["Relu"] in survivors
    assert outputs["Gemm"] in survivors
    assert {node.output for node in graph.read(residual).nodes if "stem.0.weight" in node.inputs} & survivors == set()


@pytest.mark.parametrize(
    "look", [surviving_tensors, lambda file: TapSessions(1).get(source(File(file)), ["y"], Kernels.REFERENCE)]
)
def test_a_file_that_the_runtime_cannot_load_is_the_engines_failure(look: Callable[[bytes], object]) -> None:
    """It says what ONNX Runtime said."""
    nodes = [helper.make_node("NoSuchOperation", ["x"], ["y"])]
    face = [helper.make_tensor_value_info(name, 1, ["N"]) for name in ("x", "y")]
    broken = helper.make_model(
        helper.make_graph(nodes, "g", face[:1], face[1:]), ir_version=10, opset_imports=[helper.make_opsetid("", 18)]
    ).SerializeToString()

    with pytest.raises(EngineFailed, match="NoSuchOperation"):
        look(broken)
