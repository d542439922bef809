"""From a published fp32 version to its INT8 variant: static QDQ quantisation, calibrated on real pictures.

Batch norms and padding are merged into their convolutions first, since no INT8 kernel exists for them alone; weights
have a scale per output channel (Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference",
2018, section 3), activations one per tensor. The normalisation of the pixels and the logits stay floats: they cost
next to nothing, and in integers of 8 bits the two best classes would often be equal.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxscript import rewriter

from model import reference
from model.export import MERGING, with_spec
from service.core.errors import InvalidInput, Refused
from service.core.graph import Graph, ancestors
from service.core.quantised import DEQUANTIZE, QUANTIZE
from service.core.spec import INPUT_NAME, OUTPUT_NAME, Layer, Spec
from service.engine import graph as files

_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_DEQUANTISED = "_DequantizeLinear_Output"  #: what ONNX Runtime's quantiser appends to a tensor's name


def quantise(model: bytes, spec: Spec, pixels: NDArray[np.uint8]) -> tuple[bytes, Spec]:
    """The INT8 file of an fp32 one, and the spec in it; `pixels` [N, height, width, channels] set the ranges.

    Its layers keep their names, and point to tensors that survive in the integers; `Spec.folded` says of the others
    where they went. Raises `InvalidInput` for a file that is INT8 already, `Refused` when nothing can be quantised.
    """
    if spec.variant != "fp32":
        raise InvalidInput("model", "must be an fp32 version", f"one that is {spec.variant}")
    merged = _merged(onnx.load_from_string(model))
    before = files.read(model)
    quantised = _with_float_logits(_calibrated(merged, pixels))
    after = files.read(quantised.SerializeToString())
    if not any(node.op == QUANTIZE for node in after.nodes):
        raise Refused(f"{spec.name}: it has no convolution or dense layer to quantise")
    complete = _retold(before, after, spec)
    return with_spec(quantised, complete), complete


def _merged(model: onnx.ModelProto) -> onnx.ModelProto:
    merging = ir.passes.Sequential(rewriter.RewritePass(list(MERGING)), passes.RemoveUnusedNodesPass())
    return ir.to_proto(merging(ir.from_proto(model)).model)


class _Pictures(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """Batches for the calibration, once."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._batches = iter(reference.batches(pixels))

    def get_next(self) -> Mapping[str, NDArray[np.uint8]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT_NAME: batch}


def _calibrated(model: onnx.ModelProto, pixels: NDArray[np.uint8]) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory(prefix="vitrine-") as folder, _quiet():
        target = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            target,
            _Pictures(pixels),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_normalisation(files.read(model.SerializeToString())),
        )
        return onnx.load(target)


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser advises, on the root logger, what was done here on purpose or is done by hand."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def _normalisation(graph: Graph) -> list[str]:
    """The nodes before the first weights: they turn bytes into normalised floats."""
    first = next((node for node in graph.nodes if node.op in _WEIGHTED), None)
    return [] if first is None else [node.name for node in ancestors(graph, graph.activations(first))]


def _with_float_logits(model: onnx.ModelProto) -> onnx.ModelProto:
    """Take the last pair of QuantizeLinear and DequantizeLinear out, if the logits come from one."""
    nodes = model.graph.node
    producers = {node.output[0]: node for node in nodes}
    last = producers[OUTPUT_NAME]
    if last.op_type != DEQUANTIZE:
        return model
    pair = [producers[last.input[0]], last]
    producers[pair[0].input[0]].output[0] = OUTPUT_NAME
    for node in pair:
        nodes.remove(node)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return model


def _retold(before: Graph, after: Graph, spec: Spec) -> Spec:
    """The spec with the layers whose output is still there, at the tensor that holds it, and where the others went."""
    kept = _counterparts(before, after)
    left = tuple(
        replace(layer, tensor=kept[layer.tensor], inputs=_inputs(before, layer, kept))
        for layer in spec.layers
        if layer.tensor in kept
    )
    gone = [layer for layer in spec.layers if layer.tensor not in kept]
    folded = {layer.id: _next(before, layer.tensor, spec, kept) for layer in gone}
    return replace(spec, variant="int8", layers=left, folded=folded)


def _counterparts(before: Graph, after: Graph) -> dict[str, str]:
    """Tensor of the fp32 graph -> the one that holds its values in the INT8 graph, if any does.

    That is the dequantised one. A float inside a group of fused nodes would break the group up when fetched, and may
    be another tensor under the old name: a ReLU that was taken out leaves its output's name to what went into it.
    """
    there = after.producers().keys()
    dequantised = {name: name + _DEQUANTISED for name in before.producers() if name + _DEQUANTISED in there}
    plain = {name: name for name in before.producers() if name in there and name not in dequantised}
    return {**{name: name for name in before.inputs}, **plain, **dequantised}


def _inputs(before: Graph, layer: Layer, kept: Mapping[str, str]) -> tuple[str, ...]:
    """What a layer takes in the INT8 graph: where an input is gone, what that was computed from."""
    producers = before.producers()
    found: dict[str, None] = {}
    todo = list(layer.inputs)
    while todo:
        name = todo.pop(0)
        if name in kept:
            found[kept[name]] = None
        elif name in producers:
            todo.extend(before.activations(producers[name]))
    return tuple(found)


def _next(before: Graph, tensor: str, spec: Spec, kept: Mapping[str, str]) -> str:
    """The layer with the next tensor that is left; the innermost of those that share it."""
    consumers = before.consumers()
    while tensor not in kept:
        tensor = consumers[tensor][0].output
    names = [layer.id for layer in spec.layers if layer.tensor == tensor]
    return names[-1] if names else f"tensor:{kept[tensor]}"
