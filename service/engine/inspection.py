"""What an ONNX file says about itself: inputs, outputs and metadata, as ONNX Runtime reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnxruntime as ort

from service.core.errors import InvalidInput
from service.core.spec import INPUT_NAME, METADATA_KEY, OUTPUT_NAME, Spec, from_json
from service.engine.session import RUNTIME_ERRORS, quiet_options

#: An axis is a number, the name of a free dimension, or None when nothing is said about it.
Axis = int | str | None


@dataclass(frozen=True, slots=True)
class Tensor:
    """A graph input or output: its name, ONNX type (`tensor(uint8)`) and axes."""

    name: str
    type: str
    axes: tuple[Axis, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """The face of an ONNX file."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    metadata: Mapping[str, str]


def read_graph(model: bytes) -> Graph:
    """Parse the bytes of an ONNX file; raises `InvalidInput` when ONNX Runtime cannot."""
    options = quiet_options()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except RUNTIME_ERRORS as error:
        raise InvalidInput("file", "must be an ONNX model that ONNX Runtime can load", error) from None
    return Graph(
        inputs=tuple(_tensor(value) for value in session.get_inputs()),
        outputs=tuple(_tensor(value) for value in session.get_outputs()),
        metadata=dict(session.get_modelmeta().custom_metadata_map),
    )


def read_spec(graph: Graph) -> Spec:
    """Return the spec in the metadata, checked against the graph; raises `InvalidInput` naming what does not fit."""
    if METADATA_KEY not in graph.metadata:
        raise InvalidInput("metadata", f"must hold the spec under {METADATA_KEY!r}", sorted(graph.metadata))
    spec = from_json(graph.metadata[METADATA_KEY])
    _check("input", graph.inputs, Tensor(INPUT_NAME, "tensor(uint8)", (None, *spec.shape)))
    _check("output", graph.outputs, Tensor(OUTPUT_NAME, "tensor(float)", (None, len(spec.labels))))
    return spec


def _tensor(value: ort.NodeArg) -> Tensor:
    return Tensor(value.name, value.type, tuple(value.shape))


def _check(role: str, found: tuple[Tensor, ...], wanted: Tensor) -> None:
    if len(found) != 1:
        raise InvalidInput(f"{role}s", f"the graph must have exactly one, {wanted.name!r}", [t.name for t in found])
    (tensor,) = found
    if tensor.name != wanted.name:
        raise InvalidInput(f"{role}.name", f"must be {wanted.name!r}", repr(tensor.name))
    if tensor.type != wanted.type:
        raise InvalidInput(f"{role}.type", f"must be {wanted.type}", tensor.type)
    if not _fits(tensor.axes, wanted.axes):
        shown = ", ".join("N" if axis is None else str(axis) for axis in wanted.axes)
        raise InvalidInput(f"{role}.shape", f"must be [{shown}] with a free batch axis N", list(tensor.axes))


def _fits(found: tuple[Axis, ...], wanted: tuple[Axis, ...]) -> bool:
    """Whether the batch axis is free and every other axis, where the graph tells it, is the spec's."""
    if len(found) != len(wanted) or isinstance(found[0], int):
        return False
    return all(axis == want for axis, want in zip(found[1:], wanted[1:], strict=True) if isinstance(axis, int))
