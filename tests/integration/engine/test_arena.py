from __future__ import annotations

import os
import resource
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from service.engine.arena import shrink_arena, use_arena

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts page faults as Linux does")

MIB = 1 << 20


def doubling() -> bytes:
    """A network that makes 16 tensors of 4 MiB of one, and gives all of them."""
    names = [f"x{i}" for i in range(17)]
    nodes = [helper.make_node("Add", [a, a], [b]) for a, b in pairwise(names)]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [MIB]) for name in names]
    graph = helper.make_graph(nodes, "doubling", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def session(model: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    use_arena(options)
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def faults(runs: ort.InferenceSession, ones: NDArray[np.float32]) -> int:
    """Pages that the system had to provide for one more run."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    values = runs.run(None, {"x0": ones})
    assert [int(value[0]) for value in values] == [2**i for i in range(1, 17)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def told() -> None:
    """Print what a process of its own sees; run by the test below."""
    runs, ones = session(doubling()), np.ones(MIB, np.float32)
    first, second = (faults(runs, ones) for _ in range(2))
    held = resident()
    shrink_arena()
    print(first, second, (held - resident()) // MIB)  # noqa: T201


def test_tensors_of_a_second_run_cost_the_system_nothing_and_can_be_given_back() -> None:
    """64 MiB: 16,384 pages in the first run, a few in the second, and when nobody looks most of them are free again."""
    code = "from tests.integration.engine.test_arena import told; told()"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    first, second, given_back = map(int, out.split())

    assert first > 4000  # fewer where pages are huge
    assert second < 200
    assert given_back > 48
