"""Stories about the layer list: for every module call, the ONNX tensor that holds its output."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.export import export
from service.core.spec import Layer, Preprocess, Spec
from tests.hooks import RELATIVE, apart, hooked

pytestmark = pytest.mark.train

Exported = tuple[bytes, Spec]
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 3), dtype=np.uint8)


class Sided(nn.Conv2d):
    """Pads by function inside the module: left and top only."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(functional.pad(x, (1, 0, 1, 0)))


class Block(nn.Module):
    """A residual block whose one activation serves three places."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))
        out: Tensor = self.act(inner + self.act(x.clone()))
        return out


class Everything(nn.Module):
    """What goes wrong elsewhere: shared modules, gates of several nodes, containers, padding, modules used in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.LeakyReLU(0.1)),
            Block(8),
            Sided(8, 8, 2),
            nn.SiLU(),
            nn.ZeroPad2d((0, 1, 2, 0)),
            nn.Conv2d(8, 16, 3, stride=2, dilation=2, groups=4),
            nn.Hardswish(),
            nn.MaxPool2d(2),
        )
        self.twice = nn.SiLU()
        self.shared = Block(16)
        self.drop = nn.Dropout(0.5)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.ModuleDict({"flat": nn.Flatten(), "fc": nn.Linear(16, 4)})

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(self.twice(self.features(x)))
        x = self.shared(self.shared(x))
        out: Tensor = self.head["fc"](self.head["flat"](self.drop(self.pool(x))))
        return out


@pytest.fixture(scope="module")
def spec() -> Spec:
    return Spec("toy", 3, 12, 12, ("a", "b", "c", "d"), preprocess=Preprocess(mean=(0.4,), std=(0.3,)))


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(3)
    built = Everything()
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.get_buffer("running_mean").uniform_(-1, 1)
            module.get_buffer("running_var").uniform_(0.5, 2)
    return built.eval()


@pytest.fixture(scope="module")
def exported(net: nn.Module, spec: Spec) -> Exported:
    return export(net, spec)


def tapped(model: bytes, layers: tuple[Layer, ...]) -> dict[str, np.ndarray[Any, Any]]:
    """What the file computes for each layer's tensor, by layer id."""
    proto = onnx.load_from_string(model)
    present = {output.name for output in proto.graph.output}
    proto.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in sorted({layer.tensor for layer in layers} - present)
    )
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [layer.tensor for layer in layers]
    return {layer.id: value for layer, value in zip(layers, session.run(names, {"image": PIXELS}), strict=True)}


def test_every_module_call_is_found_with_its_values(exported: Exported, net: nn.Module, spec: Spec) -> None:
    """40 module calls, containers too, equal PyTorch's own hooks; only Dropout has left the graph."""
    model, complete = exported
    ours, theirs = tapped(model, complete.layers), hooked(net, PIXELS, spec)

    assert theirs.keys() - ours.keys() == {"drop"}
    assert ours.keys() - theirs.keys() == set()
    assert len(ours) == 40
    for name, value in theirs.items():
        if name != "drop":
            assert apart(ours[name], value) <= RELATIVE, name


def test_shapes_are_those_of_the_values(exported: Exported) -> None:
    """`shape` is what a client allocates for."""
    model, complete = exported
    values = tapped(model, complete.layers)

    assert {layer.id: layer.shape for layer in complete.layers} == {
        name: value.shape[1:] for name, value in values.items()
    }


def test_a_shared_activation_is_one_layer_per_call(exported: Exported) -> None:
    """The calls count from 0; the first has the bare path as its id."""
    _, complete = exported

    acts = [layer for layer in complete.layers if layer.path == "features.1.act"]
    assert [layer.id for layer in acts] == ["features.1.act", "features.1.act#1", "features.1.act#2"]
    assert {layer.class_name for layer in acts} == {"ReLU"}
    assert len({layer.tensor for layer in acts}) == 3


def test_calls_right_after_each_other_are_not_merged(exported: Exported) -> None:
    """The same module twice in a row leaves neighbouring nodes with one and the same path."""
    _, complete = exported

    twice = [layer for layer in complete.layers if layer.path == "twice"]
    assert [layer.id for layer in twice] == ["twice", "twice#1"]
    assert twice[1].inputs == (twice[0].tensor,)


def test_a_layer_says_what_it_is_made_of(exported: Exported) -> None:
    """Class, operators, inputs and shape of a convolution that pads by itself, and of an activation of two nodes."""
    _, complete = exported
    by_id = {layer.id: layer for layer in complete.layers}

    sided, silu = by_id["features.2"], by_id["features.3"]
    assert (sided.class_name, sided.ops, sided.shape) == ("Sided", ("Pad", "Conv"), (8, 12, 12))
    assert sided.inputs == (by_id["features.1"].tensor,)
    assert (silu.class_name, silu.ops, silu.inputs) == ("SiLU", ("Sigmoid", "Mul"), (sided.tensor,))


def test_a_container_shares_the_tensor_of_its_last_child(exported: Exported) -> None:
    """One tensor may be the output of several modules, and each is listed."""
    _, complete = exported
    by_id = {layer.id: layer for layer in complete.layers}

    assert by_id["features.1"].tensor == by_id["features.1.act#2"].tensor
    assert by_id["features.0"].tensor == by_id["features.0.2"].tensor
    assert by_id["head.fc"].tensor == "logits"
