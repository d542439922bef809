"""The memory that tap sessions compute in: one arena for all of them, apart from serving's, that can be given back.

A session without an arena asks the system for each tensor and returns it after the run; with the tensors of a whole
network that is more work than computing them (98 MB of EfficientNet-Lite0: 25,000 page faults, 20 of 35 ms).
"""

from __future__ import annotations

import threading
from functools import cache

import numpy as np
import onnxruntime as ort

from service.engine.memory import return_freed_memory
from service.engine.session import quiet_options
from service.rpc.pb.vitrine.internal import onnx_pb2 as pb

_SHARED = "session.use_env_allocators"
_WEIGHTS_OUTSIDE = "session.use_device_allocator_for_initializers"
_SHRINK = "memory.enable_memory_arena_shrinkage"
_GROW_BY_WHAT_IS_ASKED = 1
_FLOAT, _OPSET, _IR = 1, 13, 7

#: Registering is once per process, and ONNX Runtime does not lock it.
_lock = threading.Lock()


def use_arena(options: ort.SessionOptions) -> None:
    """Let a session of the CPU provider compute in the arena; its weights lie outside, and leave with it."""
    with _lock:
        _register()
    options.add_session_config_entry(_SHARED, "1")
    options.add_session_config_entry(_WEIGHTS_OUTSIDE, "1")


def shrink_arena() -> None:
    """Give what no tensor lies in back to the system. Blocks for some milliseconds."""
    with _lock:
        session, run_options = _nothing()
    session.run(None, {"x": np.zeros(1, np.float32)}, run_options)
    return_freed_memory()


@cache
def _register() -> None:
    where = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(where, ort.OrtArenaCfg({"arena_extend_strategy": _GROW_BY_WHAT_IS_ASKED}))


@cache
def _nothing() -> tuple[ort.InferenceSession, ort.RunOptions]:
    """A network that does nothing: ONNX Runtime shrinks arenas at the end of a run only."""
    options = quiet_options()
    _register()
    options.add_session_config_entry(_SHARED, "1")
    float_ = pb.Type(tensor_type=pb.TensorType(elem_type=_FLOAT, shape=pb.Shape(dim=[pb.Dimension(dim_value=1)])))
    graph = pb.Graph(
        node=[pb.Node(op_type="Identity", input=["x"], output=["y"])],
        input=[pb.ValueInfo(name="x", type=float_)],
        output=[pb.ValueInfo(name="y", type=float_)],
    )
    model = pb.Model(ir_version=_IR, opset_import=[pb.OperatorSet(version=_OPSET)], graph=graph)
    run_options = ort.RunOptions()
    run_options.add_run_config_entry(_SHRINK, "cpu:0")
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]), run_options
