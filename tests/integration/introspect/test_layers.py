"""Every module call of real networks, compared with PyTorch itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from torch import nn

from service.core.geometry import Window
from service.core.introspection import Kernels
from service.core.layers import LayerInfo, Role
from service.core.spec import Spec
from service.core.tuning import Setting
from service.engine.taps import TapSessions, TapSource
from service.introspect.layers import Anatomy, study
from tests import nets
from tests.hooks import RELATIVE, apart, furthest, hooked

CPU = Setting("cpu", "fp32", 1, 1, 4)


def source(file: bytes) -> TapSource:
    return TapSource("d", CPU, lambda: file)


@pytest.fixture
def sessions() -> TapSessions:
    return TapSessions(max_bytes=1 << 26)


@pytest.fixture
def anatomy(file: bytes, spec: Spec, sessions: TapSessions) -> Anatomy:
    return study(source(file), spec, sessions)


def modules(anatomy: Anatomy) -> list[LayerInfo]:
    return [layer for layer in anatomy.layers if layer.named_by == "module"]


@pytest.mark.parametrize("kernels", [Kernels.REFERENCE, Kernels.UNFUSED])
def test_every_module_call_has_the_values_that_pytorch_sees(
    *,
    name: str,
    file: bytes,
    spec: Spec,
    picture: NDArray[np.uint8],
    anatomy: Anatomy,
    sessions: TapSessions,
    kernels: Kernels,
) -> None:
    """By its name, within 1e-5 as a whole and 1e-5 of the layer's largest value in each; none is missing."""
    seen = hooked(nets.build(name), picture[np.newaxis], spec)
    layers = modules(anatomy)
    tapped = sessions.get(source(file), [layer.tensor for layer in layers], kernels)
    values = tapped.session.run(picture[np.newaxis])

    assert {layer.id for layer in layers} == set(seen)
    for layer in layers:
        expected = seen[layer.id]
        assert layer.type.shape == expected.shape[1:]
        assert apart(values[layer.tensor], expected) <= RELATIVE, layer.id
        assert furthest(values[layer.tensor], expected) <= RELATIVE, layer.id


def test_parameters_and_window_are_the_modules_own(name: str, anatomy: Anatomy) -> None:
    """Counted and set as PyTorch has them."""
    net = nets.build(name)

    for layer in modules(anatomy):
        module = net.get_submodule(layer.path)
        assert sum(p.numel() for p in module.parameters()) == layer.parameters, layer.id
        if isinstance(module, nn.Conv2d):
            assert layer.window is not None
            assert (module.kernel_size, module.stride, module.dilation) == (
                layer.window.kernel,
                layer.window.stride,
                layer.window.dilation,
            )
            assert module.groups == layer.groups


@pytest.mark.parametrize(
    ("name", "id", "macs"),
    [("residual", "conv1", 10 * 9 * 8 * 6 * 9), ("mobile", "depthwise.0", 10 * 9 * 8 * 25), ("sided", "hidden", 1920)],
)
def test_macs(anatomy: Anatomy, id: str, macs: int) -> None:
    """Output values times the multiplications behind each."""
    assert {layer.macs for layer in anatomy.layers if layer.id == id} == {macs}


def test_asymmetric_padding_keeps_its_four_sides() -> None:
    """The zeros that a separate operation adds count as the convolution's."""
    file, spec = nets.exported("sided")
    layers = {layer.id: layer for layer in study(source(file), spec, TapSessions(1 << 24)).layers}

    assert layers["sided"].window == Window((3, 3), (2, 2), padding=(0, 1, 2, 3))
    assert layers["sided"].formulas == (
        "floor((19+0+2-1*(3-1)-1)/2)+1 = 10",
        "floor((17+1+3-1*(3-1)-1)/2)+1 = 10",
    )


def test_roles_names_and_folding() -> None:
    """What a layer is for, its other names, and where it went."""
    file, spec = nets.exported("residual")
    layers = {layer.id: layer for layer in study(source(file), spec, TapSessions(1 << 24)).layers}

    assert layers["stem"].roles == {Role.BLOCK, Role.PRE_ACTIVATION}
    assert layers["stem"].also_known_as == ("stem.1",)
    assert layers["stem.0"].folded_into == layers["stem.1"].folded_into == "act"
    assert layers["bn1"].roles == {Role.NORM, Role.PRE_ACTIVATION}
    assert layers["act#1"].folded_into == ""
    assert layers["pool"].roles == {Role.POOL}
    assert layers["fc"].roles == {Role.DENSE, Role.LOGITS}
    merged = next(layer for layer in layers.values() if Role.MERGE in layer.roles)
    assert merged.id.startswith("tensor:")
    assert merged.named_by == "node"


def test_a_gate_is_a_gate() -> None:
    """A product with weights computed from the picture."""
    file, spec = nets.exported("mobile")
    layers = study(source(file), spec, TapSessions(1 << 24)).layers

    assert [layer.ops for layer in layers if Role.GATE in layer.roles] == [("Mul",)]
    assert {layer.id for layer in layers if Role.ACTIVATION in layer.roles} >= {"stem.2", "hardswish", "gate", "relu6"}


def changed_units(
    session: TapSessions, file: bytes, tensor: str, picture: NDArray[np.uint8], pixels: list[tuple[int, int]]
) -> Iterator[NDArray[np.bool_]]:
    """For each pixel, which units [height, width] of any channel change with it."""
    blank = session.get(source(file), [tensor], Kernels.REFERENCE).session
    before = blank.run(picture[np.newaxis])[tensor]
    for y, x in pixels:
        other = picture.copy()
        other[y, x] = 255 - other[y, x]
        yield (blank.run(other[np.newaxis])[tensor] != before).any(axis=(0, 1))


def test_receptive_fields_hold_every_pixel_that_matters(
    file: bytes, picture: NDArray[np.uint8], anatomy: Anatomy, sessions: TapSessions
) -> None:
    """Changing one pixel changes no unit whose field lacks it."""
    pixels = [(0, 0), (9, 8), (4, 13), (18, 16)]
    maps = [layer for layer in modules(anatomy) if len(layer.type.shape) == 3]
    for layer in maps:
        assert layer.field is not None
        for (y, x), changed in zip(pixels, changed_units(sessions, file, layer.tensor, picture, pixels), strict=True):
            for unit in np.argwhere(changed):
                box = layer.field.of(*map(int, unit))
                assert box.y0 <= y < box.y1, (layer.id, unit)
                assert box.x0 <= x < box.x1, (layer.id, unit)


@pytest.mark.parametrize(("name", "id", "unit"), [("residual", "conv2", (5, 4)), ("sided", "leaky", (6, 6))])
def test_receptive_fields_are_no_larger_than_they_must_be(
    *, id: str, unit: tuple[int, int], file: bytes, spec: Spec, anatomy: Anatomy, sessions: TapSessions
) -> None:
    """Over all pixels, those that change an inner unit reach the four edges of its field."""
    layer = next(layer for layer in anatomy.layers if layer.id == id)
    rng = np.random.default_rng(0)
    pixels = [(y, x) for y in range(spec.height) for x in range(spec.width)]
    seen = np.zeros((spec.height, spec.width), bool)
    for _ in range(3):  # a rectifier may hide one picture's change, not that of three
        picture = rng.integers(0, 256, spec.shape, np.uint8)
        for at, changed in zip(pixels, changed_units(sessions, file, layer.tensor, picture, pixels), strict=True):
            seen[at] |= changed[unit]

    assert layer.field is not None
    box = layer.field.of(*unit)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    assert (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) == (box.y0, box.y1, box.x0, box.x1)


def test_a_file_without_module_names_is_listed_by_its_nodes(residual: bytes, sessions: TapSessions) -> None:
    """Nor need it state shapes: they are found out by a run."""
    model = onnx.load_from_string(residual)
    del model.graph.value_info[:]
    foreign = model.SerializeToString()

    anatomy = study(source(foreign), replace(nets.spec("residual"), layers=()), sessions)

    assert not anatomy.names_modules
    assert {layer.named_by for layer in anatomy.layers} == {"node"}
    convolutions = [layer for layer in anatomy.layers if Role.CONVOLUTION in layer.roles]
    assert [layer.type.shape for layer in convolutions] == [(6, 19, 17), (8, 10, 9), (8, 10, 9), (8, 10, 9)]
    assert {layer.path for layer in convolutions} == {node.name for node in model.graph.node if node.op_type == "Conv"}
