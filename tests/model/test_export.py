"""Stories about the exported file: what it computes, what it is made of, and what must not be in it."""

from __future__ import annotations

import collections
import copy
import getpass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from model import parity, reference
from model.export import OPSET, export
from service.core.errors import Refused
from service.core.spec import METADATA_KEY, Preprocess, Spec, from_json
from service.engine.inspection import read_graph, read_spec
from service.engine.session import open_session, serving_options
from tests.bench.export_speed import SETTING, optimised

pytestmark = pytest.mark.train

ROOT = Path(__file__).parents[2]


Pixels = NDArray[np.uint8]
Exported = tuple[bytes, Spec]


@pytest.fixture(scope="module")
def spec() -> Spec:
    return Spec("toy", 3, 8, 8, ("a", "b"), preprocess=Preprocess(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4)))


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 2)
    )
    # Statistics as after training: fresh ones are zeros and ones, which hides mistakes.
    layers.get_buffer("1.running_mean").uniform_(-1, 1)
    layers.get_buffer("1.running_var").uniform_(0.5, 2)
    return layers


@pytest.fixture
def pixels() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def exported(net: nn.Module, spec: Spec) -> Exported:
    return export(net, spec)


def test_the_file_computes_what_the_network_does(
    net: nn.Module, exported: Exported, spec: Spec, pixels: Pixels
) -> None:
    """Normalisation included: raw pixels in, the same logits out, for any batch size."""
    model, _ = exported

    proof = parity.check(net, model, spec, pixels)

    assert proof.images == proof.same_decisions == 20
    assert proof.max_abs_logit_difference < 1e-5
    assert reference.logits(model, pixels[:1]).shape == (1, 2)


def test_every_module_keeps_its_node_and_its_weights_their_names(exported: Exported) -> None:
    """Batch norm is not folded into the convolution, and nothing of the wrapper shows."""
    graph = onnx.load_from_string(exported[0]).graph

    ops = collections.Counter(node.op_type for node in graph.node)
    assert ops == dict.fromkeys(
        ("Transpose", "Cast", "Mul", "Add", "Conv", "BatchNormalization", "Relu", "Reshape", "Gemm"), 1
    )
    names = {tensor.name for tensor in graph.initializer}
    assert {"0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var", "4.weight", "4.bias"} <= names
    assert {"image/scale", "image/shift"} <= names


def test_serving_merges_what_the_file_keeps_apart(
    net: nn.Module, exported: Exported, spec: Spec, tmp_path: Path
) -> None:
    """ONNX Runtime runs the same operations as of a file whose exporter had merged them: names cost nothing."""
    padded = nn.Sequential(nn.ZeroPad2d((1, 0, 2, 0)), nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2).eval(), nn.ReLU())
    reduced = nn.Sequential(padded, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    for model, other in (
        (exported[0], optimised(net, spec)),
        (export(reduced, spec)[0], optimised(reduced, spec)),
    ):
        assert len(onnx.load_from_string(model).graph.node) > len(onnx.load_from_string(other).graph.node)
        assert served(model, tmp_path) == served(other, tmp_path)


def served(model: bytes, folder: Path) -> collections.Counter[str]:
    """The operations that are left when the file is loaded as it is served."""
    options = serving_options(SETTING)
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    open_session(model, SETTING, options)
    return collections.Counter(node.op_type for node in onnx.load(folder / "optimised.onnx").graph.node)


def test_padding_modules_keep_their_node(spec: Spec) -> None:
    """A padding layer stays a layer of its own instead of an attribute of the next convolution."""
    net = nn.Sequential(nn.ZeroPad2d((1, 0, 2, 0)), nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    graph = onnx.load_from_string(export(net, spec)[0]).graph

    assert "Pad" in [node.op_type for node in graph.node]


def test_global_pooling_is_one_node(spec: Spec) -> None:
    """Pixels come with channels last; their strides must not leak into the graph as index arithmetic."""
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    ops = [node.op_type for node in onnx.load_from_string(export(net, spec)[0]).graph.node]

    assert ops == ["Transpose", "Cast", "Mul", "Add", "Conv", "ReduceMean", "Reshape"]


def test_the_spec_travels_inside(exported: Exported) -> None:
    """The server reads the same spec that was exported, with the layers filled in."""
    model, complete = exported

    assert read_spec(read_graph(model)) == complete
    assert [layer.path for layer in complete.layers] == ["0", "1", "2", "3", "4"]


def test_nothing_of_this_machine_is_in_the_file(exported: Exported) -> None:
    """Stack traces would tell paths and source lines; a home directory or a user name must not be there either."""
    model, _ = exported

    for secret in (str(ROOT), str(Path.home()), "site-packages", "stack_trace", ".py", getpass.getuser() + "@"):
        assert secret.encode() not in model


def test_the_same_weights_give_the_same_bytes(exported: Exported, net: nn.Module, spec: Spec) -> None:
    """A digest then says whether two files are the same network."""
    assert exported[0] == export(net, spec)[0]


def test_older_runtimes_can_read_it(exported: Exported) -> None:
    """The opset and the file format are those of ONNX Runtime 1.24 and before."""
    model = onnx.load_from_string(exported[0])

    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    assert model.ir_version <= 10
    onnx.checker.check_model(model, full_check=True)


def test_the_wrong_number_of_outputs_is_refused(net: nn.Module) -> None:
    """Labels and logits must agree before a file exists."""
    three = Spec("toy", 3, 8, 8, ("a", "b", "c"))

    with pytest.raises(Refused, match=r"must give \[batch, 3\], one per label"):
        export(net, three)


def test_a_network_that_cannot_be_exported_says_why(spec: Spec) -> None:
    """Control flow that depends on the pixels cannot be in a graph."""

    class Branching(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3))[:, :2] if x.mean() > 0 else x.amax((2, 3))[:, :2]

    with pytest.raises(Refused, match=r"toy: the network cannot be exported: .*data-dependent"):
        export(Branching(), spec)


def test_a_file_that_differs_is_refused_with_the_numbers(
    exported: Exported, net: nn.Module, spec: Spec, pixels: Pixels
) -> None:
    """The gate: another network's file, or one wrong weight, does not pass."""
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.get_parameter("4.bias")[0] += 0.5

    with pytest.raises(Refused, match=r"on 20 images: max abs logit difference 0\.5 \(limit 0\.0001\)"):
        parity.check(other, exported[0], spec, pixels)


def test_not_a_number_does_not_pass_the_gate(net: nn.Module, spec: Spec, pixels: Pixels) -> None:
    """A network that is broken in PyTorch too is not published either."""
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.get_parameter("4.bias")[0] = float("nan")

    with pytest.raises(Refused, match="max abs logit difference nan"):
        parity.check(other, export(other, spec)[0], spec, pixels)


def test_metadata_holds_the_spec_and_nothing_else(exported: Exported) -> None:
    """Later tools drop or add metadata at will; ours is one key."""
    model, complete = exported

    (entry,) = onnx.load_from_string(model).metadata_props
    assert (entry.key, from_json(entry.value)) == (METADATA_KEY, complete)
