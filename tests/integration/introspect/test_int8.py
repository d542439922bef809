"""Looking into INT8 networks: the integers themselves, and logits that do not move."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
import pytest

from model.quantize import quantise
from service.core.attribution import AttributionHeader, AttributionRequest, AttributionResult, Method
from service.core.encodings import Encoding, Kind
from service.core.errors import Refused
from service.core.introspection import (
    Chunk,
    Kernels,
    LayerHeader,
    MapsEvent,
    MapsRequest,
    Picture,
    RunEnd,
    RunHeader,
    UnitRequest,
)
from service.core.layers import Role, Selector
from service.core.maps import TopK, Wanted
from service.core.messages import ModelKey
from service.engine.session import OnnxEngine, open_sessions
from service.engine.taps import TapSource
from service.introspect.introspector import Introspector
from service.introspect.tapping import Subject
from tests import glass, nets

pytestmark = pytest.mark.train


@cache
def subject(name: str) -> Subject:
    """The INT8 variant of one of the nets, served by the CPU provider."""
    model, spec = nets.exported(name)
    pixels = np.random.default_rng(0).integers(0, 256, (64, *spec.shape), np.uint8)
    small, spec = quantise(model, spec, pixels)
    digest = hashlib.sha256(small).hexdigest()
    engine = OnnxEngine(spec, digest, glass.TUNING, open_sessions(small, glass.TUNING), ())
    return Subject(ModelKey(name, 2), engine, TapSource(digest, glass.TUNING.chosen, lambda: small))


@pytest.fixture
def inside() -> Introspector:
    return glass.introspector(find=lambda name, _version: subject(name))


def run(inside: Introspector, request: MapsRequest) -> tuple[RunHeader, dict[str, tuple[LayerHeader, bytes]], RunEnd]:
    """The answer in one piece, by layer."""
    header, *events, end = inside.maps(request)
    assert isinstance(header, RunHeader)
    assert isinstance(end, RunEnd)
    layers: dict[str, tuple[LayerHeader, bytes]] = {}
    for event in events:
        _take(event, layers)
    return header, layers, end


def _take(event: MapsEvent, layers: dict[str, tuple[LayerHeader, bytes]]) -> None:
    match event:
        case LayerHeader():
            layers[event.layer.id] = (event, b"")
        case Chunk():
            last, (header, data) = list(layers.items())[-1]
            layers[last] = (header, data + event.data)
        case _:
            pass


def asked(
    name: str,
    *layers: str,
    kind: Kind = Kind.STORED,
    kernels: Kernels = Kernels.REFERENCE,
    wanted: Wanted | None = None,
) -> MapsRequest:
    return MapsRequest(
        name,
        0,
        (Picture(glass.picture()),),
        Selector(layers),
        wanted or Wanted(),
        Encoding(kind),
        kernels,
    )


@pytest.mark.parametrize("kernels", list(Kernels))
@pytest.mark.parametrize("kind", [Kind.STORED, Kind.FLOAT32])
@pytest.mark.parametrize("name", sorted(nets.NETS))
def test_every_layer_is_tapped_and_no_logit_moves(
    inside: Introspector, name: str, kind: Kind, kernels: Kernels
) -> None:
    """Integers or floats, all layers at once: the difference to the serving session is 0, not merely small."""
    header, layers, end = run(inside, asked(name, kind=kind, kernels=kernels))

    assert header.parity is not None
    assert header.parity.here
    assert header.parity.max_logit_difference == 0.0
    assert end.parity == header.parity
    assert len(layers) == len(subject(name).engine.spec.layers)
    assert header.total_bytes == sum(len(data) for _, data in layers.values())


def test_stored_integers_are_the_floats_to_the_last_bit(inside: Introspector) -> None:
    """`scale * (integer - zero_point)` gives what FLOAT32 gives, in a quarter of the bytes."""
    _, stored, _ = run(inside, asked("mobile", "hardswish", "stem.*", kind=Kind.STORED))
    _, floats, _ = run(inside, asked("mobile", "hardswish", "stem.*", kind=Kind.FLOAT32))

    for id_, (header, data) in stored.items():
        (scale,), (zero_point,) = header.scale, header.zero_point
        assert header.dtype == "uint8"
        integers = np.frombuffer(data, header.dtype).astype(np.int32)
        values = np.float32(scale) * (integers - zero_point).astype(np.float32)
        np.testing.assert_array_equal(values, np.frombuffer(floats[id_][1], "<f4"))
        assert header.size_bytes * 4 == len(floats[id_][1])
        assert header.statistics is not None
        assert header.statistics.max == pytest.approx(values.max())


def test_a_relu_that_became_a_range_is_shown_behind_the_range(inside: Introspector) -> None:
    """The quantiser gave its name to what went into it; the layer never shows a negative value."""
    _, layers, _ = run(inside, asked("residual", "act", "act#1", "act#2", kind=Kind.FLOAT32))

    assert all(np.frombuffer(data, "<f4").min() == 0 for _, data in layers.values())
    fp32 = glass.introspector()
    _, before, _ = run(fp32, asked("residual", "act", kind=Kind.FLOAT32))
    one, other = (np.frombuffer(each["act"][1], "<f4") for each in (before, layers))
    assert np.linalg.norm(one - other) < np.linalg.norm(one) / 50


def test_ranked_channels_of_integers_are_those_of_their_floats(inside: Introspector) -> None:
    """The two strongest, in the same order."""
    wanted = Wanted(channels=TopK(2))
    _, stored, _ = run(inside, asked("residual", "act", wanted=wanted))
    _, floats, _ = run(inside, asked("residual", "act", wanted=wanted, kind=Kind.FLOAT32))

    assert stored["act"][0].channels == floats["act"][0].channels
    assert stored["act"][0].shape == (2, nets.HEIGHT, nets.WIDTH)


def test_logits_stay_floats_in_stored_answers(inside: Introspector) -> None:
    """They are not quantised: no scale, and their own type."""
    _, layers, _ = run(inside, asked("residual", "fc"))

    header, data = layers["fc"]
    assert (header.dtype, header.scale, header.zero_point, len(data)) == ("float32", (), (), 16)


@pytest.mark.parametrize("layer", ["stem", "conv1", "bn1"])
def test_a_folded_layer_says_where_it_went(inside: Introspector, layer: str) -> None:
    """For its maps and for its units; the fp32 version still shows it."""
    where = subject("residual").engine.spec.folded[layer]
    message = f"layer {layer}: quantising folded it into {where}; the fp32 version of the model shows it"

    with pytest.raises(Refused, match=message):
        run(inside, asked("residual", layer))
    with pytest.raises(Refused, match=message):
        inside.unit(UnitRequest("residual", 0, Picture(glass.picture()), layer, (0, 0, 0)))


def test_floats_inside_a_fused_group_are_not_to_be_had(inside: Introspector) -> None:
    """Fetching one would make its group compute in floats: then it is another network than the one that serves."""
    with pytest.raises(Refused, match=r"layer tensor:relu: served, it is folded into .*; the fp32 version"):
        run(inside, asked("mobile", "tensor:relu"))


def test_weights_and_windows_are_told_as_of_the_fp32_version(inside: Introspector) -> None:
    """Quantised weights count like others: kernel, parameters and receptive field of what a layer absorbed."""
    act = inside.layers("residual", 0, Selector(("act",))).layers[0]
    before = glass.introspector().layers("residual", 0, Selector(("stem.0",))).layers[0]

    assert act.window == before.window
    assert act.field == before.field
    assert act.macs == before.macs
    assert Role.CONVOLUTION in act.roles
    assert act.parameters == before.parameters + 6  # the bias that batch norm became


def test_evidence_needs_no_gradient(inside: Introspector) -> None:
    """Integers have none: AUTO says so, takes each unit alone, and moves no logit."""
    header, *_, result = inside.attribution(AttributionRequest("residual", 0, Picture(glass.picture())))

    assert isinstance(header, AttributionHeader)
    assert isinstance(result, AttributionResult)
    assert header.method is Method.RECIPRO_CAM
    assert header.reason.startswith("no derivative is known of the operation DequantizeLinear")
    assert result.parity.max_logit_difference == 0
    assert result.values.any()
