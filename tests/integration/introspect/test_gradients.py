"""The backward half of a graph, run by ONNX Runtime, against PyTorch's autograd and against small steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from model.export import export
from model.net import normalise
from service.core.errors import Refused
from service.core.gradients import CLASS_WEIGHTS, differentiate
from service.core.graph import Array, TensorType
from service.core.introspection import Kernels
from service.core.layers import find
from service.core.spec import INPUT_NAME, OUTPUT_NAME, Spec
from service.core.tuning import Setting
from service.engine import graph as files
from service.engine.taps import TapSessions, TapSource
from service.introspect.layers import Anatomy, study
from tests import nets

CPU = Setting("cpu", "fp32", 1, 1, 4)


class Medley(nn.Module):
    """Operations that the other nets do not have."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.gelu = nn.GELU()
        self.softplus = nn.Softplus(threshold=0.5)
        self.pool = nn.AvgPool2d((3, 2), stride=(2, 3), ceil_mode=True, padding=(1, 0))
        self.mix = nn.Parameter(torch.linspace(-1, 1, 8).reshape(2, 4))

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] -> [N, 4]."""
        x = self.conv(images)
        above = self.gelu(x) - 2 * self.softplus(x)
        below = 1.5 - functional.relu6(x).mean((2, 3), keepdim=True)
        x = self.pool(above / (below * below + 1) + 3 / (x * x + 1) + x.clamp(min=0.1))
        x = functional.pad(x.sum(1, keepdim=True), (1, 0, 2, 1), value=0.5)
        x = functional.max_pool2d(torch.cat([x, x.transpose(2, 3).sigmoid().transpose(2, 3)], 1), 3, 2)
        return x.mean((2, 3)).unsqueeze(1).squeeze(1) @ self.mix


@pytest.fixture(scope="module")
def sessions() -> TapSessions:
    return TapSessions(1 << 26)


def source(file: bytes, digest: str) -> TapSource:
    return TapSource(digest, CPU, lambda: file)


def gradients(
    sessions: TapSessions, file: TapSource, anatomy: Anatomy, tensor: str, inputs: Mapping[str, Array]
) -> NDArray[np.float32]:
    """d(weights . logits) / d(tensor), as ONNX Runtime computes it."""
    backward = differentiate(anatomy.graph, tensor)
    derived = file.derived(f"to {tensor}", lambda data: files.differentiated(files.parse(data), backward))
    values = sessions.get(derived, [backward.gradient], Kernels.REFERENCE).session.feed(inputs)
    return np.asarray(values[backward.gradient])


def autograd(net: nn.Module, spec: Spec, inputs: Mapping[str, Array]) -> dict[str, NDArray[np.float32]]:
    """The same by PyTorch, for every module call, by the layer's id."""
    outputs: dict[str, Tensor] = {}

    def remember(path: str) -> None:
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            own = output + 0
            own.retain_grad()
            call = sum(key.partition("#")[0] == path for key in outputs)
            outputs[f"{path}#{call}" if call else path] = own
            return own

        net.get_submodule(path).register_forward_hook(hook)

    for path, module in net.named_modules():
        if path:
            remember(path)
        if isinstance(module, nn.ReLU):
            module.inplace = False  # it would overwrite what is to be compared
    pixels = torch.from_numpy(inputs[INPUT_NAME]).permute(0, 3, 1, 2)
    logits = net(normalise(pixels, spec.preprocess).requires_grad_())
    (logits * torch.from_numpy(inputs[CLASS_WEIGHTS])).sum().backward()
    return {id_: output.grad.numpy() for id_, output in outputs.items() if output.grad is not None}


def questions(spec: Spec) -> dict[str, Array]:
    """Three pictures, and for each its own weights of the logits."""
    random = np.random.default_rng(5)
    return {
        INPUT_NAME: random.integers(0, 256, (3, *spec.shape), np.uint8),
        CLASS_WEIGHTS: random.normal(size=(3, len(spec.labels))).astype(np.float32),
    }


def difference(one: Array, two: Array) -> float:
    """Relative to the largest value."""
    return float(np.abs(one - two).max() / np.abs(two).max())


def test_the_gradient_at_every_layer_is_autograds(sessions: TapSessions, name: str, file: bytes, spec: Spec) -> None:
    """Through residuals, gates, strides, dilation, groups, pools and every activation, for several pictures at once."""
    anatomy = study(source(file, name), spec, sessions)
    asked = questions(spec)
    wanted = autograd(nets.build(name), spec, asked)

    compared = {
        layer.id: difference(gradients(sessions, source(file, name), anatomy, layer.tensor, asked), wanted[layer.id])
        for layer in anatomy.layers
        if layer.id in wanted and layer.tensor != OUTPUT_NAME
    }

    assert len(compared) >= 7
    assert max(compared.values()) < 1e-5


def test_less_common_operations_have_derivatives_too(sessions: TapSessions) -> None:
    """Quotients, GELU, softplus, sums, padding with a value, pools that reach beyond the map, matrix products."""
    torch.manual_seed(3)
    net, spec = Medley().eval(), nets.spec("medley")
    file, complete = export(net, spec)
    anatomy = study(source(file, "medley"), complete, sessions)
    asked = questions(spec)

    tensor = find(anatomy.layers, "conv").tensor
    found = gradients(sessions, source(file, "medley"), anatomy, tensor, asked)

    assert difference(found, autograd(net, spec, asked)["conv"]) < 1e-5


def test_the_gradient_is_the_slope_of_the_logits(sessions: TapSessions) -> None:
    """Without PyTorch as a witness: the head is run on maps that are a small step away."""
    file, complete = nets.exported("mobile")
    anatomy = study(source(file, "mobile"), complete, sessions)
    layer, asked = find(anatomy.layers, "stem.2"), questions(complete)
    slope = gradients(sessions, source(file, "mobile"), anatomy, layer.tensor, asked)
    maps = sessions.get(source(file, "mobile"), [layer.tensor], Kernels.REFERENCE).session.run(asked[INPUT_NAME])
    head = sessions.get(
        source(file, "mobile").derived("head", lambda data: files.behind(files.parse(data), layer.tensor, layer.type)),
        [OUTPUT_NAME],
        Kernels.REFERENCE,
    ).session
    step = 1e-2 * np.sign(slope)

    def score(moved: Array) -> NDArray[np.float64]:
        logits = head.feed({layer.tensor: maps[layer.tensor] + moved})[OUTPUT_NAME].astype(np.float64)
        total: NDArray[np.float64] = (logits * asked[CLASS_WEIGHTS]).sum(axis=1)
        return total

    measured = (score(step) - score(-step)) / 2

    np.testing.assert_allclose((slope.astype(np.float64) * step).sum(axis=(1, 2, 3)), measured, rtol=2e-2)


FACE = (
    helper.make_tensor_value_info(INPUT_NAME, TensorProto.UINT8, ["N", 4, 4, 3]),
    helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, ["N", 2]),
)


def foreign(*nodes: tuple[str, list[str], str, dict[str, Any]], opset: int = 18) -> bytes:
    """A file that no exporter of ours wrote: float maps "x" [N, 3, 4, 4] go through `nodes`."""
    start = [
        helper.make_node("Cast", [INPUT_NAME], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["x"], perm=[0, 3, 1, 2]),
    ]
    body = [helper.make_node(op, inputs, [output], **attributes) for op, inputs, output, attributes in nodes]
    graph = helper.make_graph([*start, *body], "g", FACE[:1], FACE[1:], [numpy_helper.from_array(W, "w")])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)]).SerializeToString()


FOREIGN_SPEC = Spec("foreign", 3, 4, 4, ("a", "b"))
GEMM: tuple[str, list[str], str, dict[str, Any]] = ("Gemm", ["flat", "w"], OUTPUT_NAME, {"transB": 1})
W = np.array([[1, 2, 3], [-1, 0, 4]], np.float32)


def test_the_operations_of_other_exporters(sessions: TapSessions) -> None:
    """A global pool, a flatten, an identity, a dropout; the mean of 16 units divides the weight."""
    file = foreign(
        ("GlobalAveragePool", ["x"], "pooled", {}),
        ("Identity", ["pooled"], "same", {}),
        ("Flatten", ["same"], "flat", {}),
        GEMM,
    )
    anatomy = study(source(file, "foreign"), FOREIGN_SPEC, sessions)

    found = gradients(sessions, source(file, "foreign"), anatomy, "x", questions(FOREIGN_SPEC))

    wanted = questions(FOREIGN_SPEC)[CLASS_WEIGHTS] @ W / 16
    np.testing.assert_allclose(found, np.broadcast_to(wanted[:, :, None, None], found.shape), rtol=1e-6)


def test_files_in_old_operations_are_refused(sessions: TapSessions) -> None:
    """The derivatives are written in opset 16, and a file has one opset for all."""
    file = foreign(("ReduceMean", ["x"], "flat", {"axes": [2, 3], "keepdims": 0}), GEMM, opset=13)
    backward = differentiate(study(source(file, "old"), FOREIGN_SPEC, sessions).graph, "x")

    with pytest.raises(Refused, match="derivatives are known from opset 16 on, the file is written in 13"):
        files.differentiated(files.parse(file), backward)


def test_a_head_that_sees_more_than_one_tensor_is_refused() -> None:
    """Behind one branch of two there is no network of its own."""
    file, spec = nets.exported("branches")
    left = next(layer for layer in spec.layers if layer.id == "left")

    with pytest.raises(Refused, match="not everything that the logits depend on goes through it"):
        files.behind(files.parse(file), left.tensor, TensorType("float32", left.shape))
