"""What ONNX Runtime folds when it loads a model to serve it: found out by looking at the graph that it makes of it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnxruntime as ort

from service.core.errors import EngineFailed
from service.core.graph import Node
from service.engine import graph
from service.engine.session import RUNTIME_ERRORS, quiet_options


def surviving_tensors(model: bytes) -> frozenset[str]:
    """The tensors that still exist after ONNX Runtime's fusions, by their names in the file. Raises `EngineFailed`."""
    return frozenset(name for node in fused(model) for name in node.outputs)


def fused(model: bytes) -> tuple[Node, ...]:
    """The nodes that ONNX Runtime's CPU provider makes of a model, under the tensors' names in the file.

    Level EXTENDED does all fusing; ALL only changes layouts on top, and renames tensors. Raises `EngineFailed`.
    """
    with tempfile.TemporaryDirectory(prefix="vitrine-") as folder:
        path = Path(folder) / "optimized.onnx"
        options = quiet_options()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(path)
        options.intra_op_num_threads = 1
        try:
            ort.InferenceSession(model, options, providers=["CPUExecutionProvider"], enable_fallback=0)
        except RUNTIME_ERRORS as error:
            raise EngineFailed(f"ONNX Runtime cannot optimise the graph: {error}") from error
        return graph.read(path.read_bytes()).nodes
