"""Stories about finding faults that were planted: a NaN, a dead filter, a spoiled scale, a shifted input."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from functools import cache

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from model.profile import profile
from model.quantize import quantise
from service.core.comparison import LayerDifference
from service.core.diagnostics import (
    CompareRequest,
    ComparisonEnd,
    ComparisonHeader,
    DiagnoseRequest,
    DiagnosisEnd,
    DiagnosisHeader,
    ProfileRequest,
    Progress,
)
from service.core.drift import Profile
from service.core.errors import InvalidInput, NoSuchLayer, TooLate
from service.core.health import LayerHealth
from service.core.introspection import Kernels, Picture
from service.core.layers import Role, Selector
from service.core.messages import ModelKey
from service.core.spec import Spec
from service.core.tuning import Setting, Tuning
from service.engine.session import OnnxEngine, open_sessions
from service.engine.taps import TapSource
from service.introspect.tapping import Subject
from tests import glass, nets

pytestmark = pytest.mark.train

Change = Callable[[dict[str, NDArray[np.generic]]], None]


def spoiled(model: bytes, change: Change) -> bytes:
    """The file with its weights changed in place, by name."""
    proto = onnx.load_from_string(model)
    weights = {tensor.name: numpy_helper.to_array(tensor).copy() for tensor in proto.graph.initializer}
    change(weights)
    for tensor in proto.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name], tensor.name))
    return proto.SerializeToString()


def served(name: str, version: int, model: bytes, spec: Spec, tuning: Tuning = glass.TUNING) -> Subject:
    digest = hashlib.sha256(model).hexdigest()
    engine = OnnxEngine(spec, digest, tuning, open_sessions(model, tuning), ())
    return Subject(ModelKey(name, version), engine, TapSource(digest, tuning.chosen, lambda: model))


def random_pixels(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, nets.HEIGHT, nets.WIDTH, 3), np.uint8)


def pictures(pixels: NDArray[np.uint8]) -> tuple[Picture, ...]:
    return tuple(Picture(glass.png(each)) for each in pixels)


@cache
def small() -> tuple[bytes, Spec]:
    return quantise(*nets.exported("residual"), random_pixels(64))


def finder(**versions: Subject) -> Callable[[str, int], Subject]:
    """Versions 1, 2 ... of whatever is asked for."""
    return lambda _name, version: list(versions.values())[max(version, 1) - 1]


def diagnosed(
    subject: Subject, *, profile: Profile | None = None, **asked: object
) -> tuple[DiagnosisHeader, dict[str, LayerHealth], DiagnosisEnd]:
    """The answer by layer."""
    doctor = glass.diagnostics(finder(one=subject), profile)
    header, *events, end = doctor.diagnose(DiagnoseRequest("net", **asked))  # type: ignore[arg-type]
    assert isinstance(header, DiagnosisHeader)
    assert isinstance(end, DiagnosisEnd)
    layers = {event.layer.id: event for event in events if isinstance(event, LayerHealth)}
    steps = [event for event in events if isinstance(event, Progress)]
    assert [step.done for step in steps] == list(range(1, steps[-1].total + 1))
    return header, layers, end


def compared(
    first: Subject, other: Subject, **asked: object
) -> tuple[ComparisonHeader, dict[str, LayerDifference], ComparisonEnd]:
    """The answer by layer."""
    doctor = glass.diagnostics(finder(one=first, two=other))
    request = CompareRequest("net", 1, other_version=2, **asked)  # type: ignore[arg-type]
    header, *events, end = doctor.compare(request)
    assert isinstance(header, ComparisonHeader)
    assert isinstance(end, ComparisonEnd)
    return header, {event.layer: event for event in events if isinstance(event, LayerDifference)}, end


def test_a_healthy_network_is_told_to_be_healthy() -> None:
    """All module calls, over the stored samples; nothing is dead, constant or not finite."""
    header, layers, end = diagnosed(glass.subject("residual"))

    assert (header.images, header.are_samples, header.profile_images) == (40, True, 0)
    assert list(layers) == [layer.id for layer in glass.subject("residual").engine.spec.layers]
    assert header.layers == len(layers)
    assert (end.first_bad, end.bad_weights) == ("", 0)
    assert all(health.images == 40 and health.drift is None for health in layers.values())
    assert not any(health.silent or health.constant or health.not_finite for health in layers.values())
    assert 0 < layers["act"].sparsity < 1


def test_statistics_over_pictures_are_those_of_all_values() -> None:
    """Taken together over batches, against NumPy on all of them at once."""
    subject = glass.subject("residual")
    _, layers, _ = diagnosed(subject)

    pixels = np.random.default_rng(5).integers(0, 256, (40, nets.HEIGHT, nets.WIDTH, 3), np.uint8)
    inside = glass.introspector()
    values = inside.sessions.get(subject.source, ["relu"], Kernels.REFERENCE).session.run(pixels)["relu"]
    found = layers["act"].statistics
    assert (found.count, found.zeros) == (values.size, int((values == 0).sum()))
    assert (found.min, found.max) == pytest.approx((values.min(), values.max()))
    assert found.mean == pytest.approx(values.mean(dtype=np.float64))
    assert found.std == pytest.approx(values.std(dtype=np.float64))


def test_a_nan_weight_is_found_where_it_is() -> None:
    """Everything behind it is bad too; the first one is named, and that it is one of its own weights."""
    model, spec = nets.exported("residual")

    def plant(weights: dict[str, NDArray[np.generic]]) -> None:
        weights["conv1.weight"][3, 2, 1, 1] = np.nan

    subject = served("net", 1, spoiled(model, plant), spec)
    _, layers, end = diagnosed(subject)

    assert (end.first_bad, end.bad_weights) == ("conv1", 1)
    assert layers["conv1"].statistics.nans == 40 * 10 * 9
    assert layers["act"].not_finite == 0


def test_the_first_bad_layer_is_found_though_only_later_ones_were_asked_for() -> None:
    """The logits are bad; the answer is where that began."""
    model, spec = nets.exported("residual")

    def plant(weights: dict[str, NDArray[np.generic]]) -> None:
        weights["down.bias"][0] = np.inf

    _, layers, end = diagnosed(served("net", 1, spoiled(model, plant), spec), layers=Selector(("fc",)))

    assert list(layers) == ["fc"]
    assert (end.first_bad, end.bad_weights) == ("down", 1)


def test_a_dead_filter_is_found() -> None:
    """Its convolution gives one value, and nothing comes through the ReLU, in any picture."""
    model, spec = nets.exported("residual")

    def plant(weights: dict[str, NDArray[np.generic]]) -> None:
        weights["conv1.weight"][5] = 0
        weights["bn1.bias"][5] = -10

    _, layers, _ = diagnosed(served("net", 1, spoiled(model, plant), spec))

    assert layers["conv1"].constant == (5,)
    assert layers["bn1"].constant == (5,)
    assert layers["act#1"].silent == (5,)
    assert not any(health.silent or health.constant for id_, health in layers.items() if "1" not in id_)


def test_a_spoiled_int8_scale_shows_as_saturation() -> None:
    """A tenth of the scale: most integers lie at the end of their range, in that layer and no other."""
    model, spec = small()

    def plant(weights: dict[str, NDArray[np.generic]]) -> None:
        weights["relu_1_scale"] = weights["relu_1_scale"] / np.float32(10)  # type: ignore[operator]

    _, well, _ = diagnosed(served("net", 1, model, spec))
    _, ill, _ = diagnosed(served("net", 1, spoiled(model, plant), spec))

    assert all((health.saturation or 0) < 0.02 for health in well.values())
    assert (ill["act#1"].saturation or 0) > 0.2
    assert ill["act#1"].saturated
    assert (ill["act"].saturation or 0) < 0.02


def stored_profile() -> Profile:
    """Of 256 random pictures, through the file that publishing writes."""
    model, spec = nets.exported("residual")
    with np.load(io.BytesIO(profile(model, spec, random_pixels(256, seed=11)))) as arrays:
        layers = {name.removeprefix("quantiles/"): arrays[name] for name in arrays if name != "images"}
        return Profile(int(arrays["images"]), layers)


def test_pictures_like_those_at_export_have_not_drifted() -> None:
    """None of the layers, though the pictures are others."""
    header, layers, _ = diagnosed(
        glass.subject("residual"), profile=stored_profile(), pictures=pictures(random_pixels(64, seed=12))
    )

    drifts = {id_: health.drift for id_, health in layers.items() if health.drift}
    assert header.profile_images == 256
    assert drifts.keys() == stored_profile().quantiles.keys()
    assert {drift.channels for drift in drifts.values()} == {0}
    assert all(drift.enough for drift in drifts.values())


def test_darker_pictures_have_drifted_from_the_first_layer_on() -> None:
    """Three quarters of the brightness: every channel of the first activation went elsewhere."""
    darker = (random_pixels(64, seed=12) * 0.75).astype(np.uint8)
    _, layers, _ = diagnosed(glass.subject("residual"), profile=stored_profile(), pictures=pictures(darker))

    drift = layers["act"].drift
    assert drift is not None
    assert drift.channels == 6
    assert drift.worst[0].ks == pytest.approx(1.0, abs=0.01)
    assert drift.worst[0].psi > 1


def test_few_pictures_drift_without_a_verdict() -> None:
    """The numbers are there, but nothing is concluded from twenty."""
    darker = (random_pixels(20, seed=12) * 0.75).astype(np.uint8)
    _, layers, _ = diagnosed(glass.subject("residual"), profile=stored_profile(), pictures=pictures(darker))

    drift = layers["act"].drift
    assert drift is not None
    assert (drift.enough, drift.channels, drift.images) == (False, 0, 20)
    assert drift.worst[0].ks == pytest.approx(1.0, abs=0.01)


def test_a_version_does_not_differ_from_itself() -> None:
    """Not in one bit, so nothing diverges."""
    subject = glass.subject("residual")
    header, layers, end = compared(subject, subject)

    assert header.threshold_db == 60
    assert (header.only_first, header.only_other) == ((), ())
    assert {(each.max_abs, each.sqnr_db) for each in layers.values()} == {(0.0, np.inf)}
    assert {round(each.cka, 9) for each in layers.values()} == {1.0}
    assert (end.first_diverging, end.agreement, end.max_logit_difference) == ("", 1.0, 0.0)


def test_an_int8_variant_is_near_its_fp32_version() -> None:
    """Layer by layer; those that were folded are named, and none is below the threshold."""
    header, layers, end = compared(glass.subject("residual"), served("net", 2, *small()))

    assert (header.first.variant, header.other.variant, header.threshold_db) == ("fp32", "int8", 15)
    assert header.only_first == ("stem", "stem.0", "stem.1", "conv1", "bn1")
    assert all(30 < each.sqnr_db < 70 for each in layers.values())
    assert end.first_diverging == ""


def test_a_spoiled_int8_scale_is_the_first_diverging_layer() -> None:
    """It lost most against its inputs, though what follows is as bad."""
    model, spec = small()

    def plant(weights: dict[str, NDArray[np.generic]]) -> None:
        weights["relu_1_scale"] = weights["relu_1_scale"] / np.float32(10)  # type: ignore[operator]

    _, layers, end = compared(glass.subject("residual"), served("net", 2, spoiled(model, plant), spec))

    assert (end.first_diverging, end.largest_drop) == ("act#1", "act#1")
    assert layers["act"].sqnr_db > 30
    assert layers["act#1"].sqnr_db < 15
    assert end.drops["act#1"] == pytest.approx(layers["act"].sqnr_db - layers["act#1"].sqnr_db)


def test_one_changed_weight_is_found_between_versions() -> None:
    """The layer that has it, not those behind it."""
    model, spec = nets.exported("residual")

    def plant(weights: dict[str, NDArray[np.generic]]) -> None:
        weights["conv2.weight"][0] *= 1.2

    _, layers, end = compared(glass.subject("residual"), served("net", 2, spoiled(model, plant), spec))

    assert end.first_diverging == "conv2"
    assert layers["conv2"].worst[0][0] == 0
    assert layers["conv2"].worst[1][1] == np.inf
    assert layers["act#1"].sqnr_db == np.inf


def test_channels_in_another_order_are_the_same_representation() -> None:
    """Unit by unit they have nothing in common; what they represent, and the answers, are the same."""
    model, spec = nets.exported("residual")
    order = [3, 4, 5, 0, 1, 2]

    def permute(weights: dict[str, NDArray[np.generic]]) -> None:
        for name, values in weights.items():
            if name.startswith("stem."):
                weights[name] = values[order]
            if name in {"conv1.weight", "down.weight"}:
                weights[name] = values[:, order]

    _, layers, end = compared(glass.subject("residual"), served("net", 2, spoiled(model, permute), spec))

    assert end.agreement == 1.0
    assert layers["act"].sqnr_db < 5
    assert layers["act"].cka == pytest.approx(1.0, abs=1e-6)
    assert end.first_diverging == "stem.0"


def test_networks_without_a_common_layer_cannot_be_compared() -> None:
    """The message says so, before anything is computed."""
    with pytest.raises(NoSuchLayer, match="none of the same name"):
        compared(glass.subject("sided"), glass.subject("branches"))


def test_inputs_of_another_size_need_pictures() -> None:
    """Samples of one do not fit the other; pictures are prepared for each."""
    with pytest.raises(InvalidInput, match=r"pictures: needed, since the samples of residual:1 do not fit guide:1"):
        compared(glass.subject("residual"), glass.subject("guide"))


@pytest.mark.parametrize("name", ["residual", "mobile", "sided", "branches"])
def test_every_layer_is_in_one_kernel(name: str) -> None:
    """Kernels with the layers that were fused into them; together they take no longer than the run."""
    found = glass.diagnostics().profile(ProfileRequest(name, runs=5))

    told = [layer for group in found.groups for layer in group.layers]
    layers = glass.introspector().layers(name, 0, Selector()).layers
    leaves = {layer.id for layer in layers if Role.BLOCK not in layer.roles}
    assert leaves <= set(told)
    assert len(told) == len(set(told))
    assert (found.measured, found.note, found.runs) == (glass.TUNING.chosen, "", 5)
    assert 0 < sum(group.kernel.mean_us for group in found.groups) <= found.run_us


def test_a_fused_group_names_its_members() -> None:
    """Convolution, batch norm and ReLU are one kernel; so are the sum and what is added."""
    found = glass.diagnostics().profile(ProfileRequest("residual", runs=2))

    groups = [set(group.layers) for group in found.groups]
    assert any({"stem.0", "stem.1", "act"} <= group for group in groups)
    assert any({"conv1", "bn1", "act#1"} <= group for group in groups)


def test_int8_kernels_are_told_by_their_layers() -> None:
    """What is left of the layers, in kernels that compute in integers."""
    doctor = glass.diagnostics(finder(one=served("net", 1, *small())))

    found = doctor.profile(ProfileRequest("net", runs=2))

    kernel_of = {layer: group.kernel.op for group in found.groups for layer in group.layers}
    assert kernel_of["act"] == kernel_of["act#1"] == kernel_of["conv2"] == "QLinearConv"
    assert {"act", "act#1", "act#2", "conv2", "down", "fc"} <= kernel_of.keys()


def test_a_provider_that_tells_no_times_is_named_and_the_cpu_is_measured() -> None:
    """OpenVINO runs the network as one kernel: that is said, beside the CPU's times and its own for the whole."""
    if "OpenVINOExecutionProvider" not in ort.get_available_providers():
        pytest.skip("this build of ONNX Runtime has no OpenVINO")
    tuning = Tuning(Setting("openvino", "fp32", 1, 1, 2), ())
    doctor = glass.diagnostics(finder(one=served("net", 1, *nets.exported("residual"), tuning)))

    found = doctor.profile(ProfileRequest("net", runs=2))

    assert found.setting.provider == "openvino"
    assert found.measured.provider == "cpu"
    assert found.note.startswith("openvino fp32 runs the network as 1 kernel")
    assert found.served_us > 0
    assert any("conv1" in group.layers for group in found.groups)


@pytest.mark.parametrize(
    ("field", "request_"),
    [("batch", ProfileRequest("residual", batch=65)), ("runs", ProfileRequest("residual", runs=1001))],
)
def test_a_profile_is_bounded(field: str, request_: ProfileRequest) -> None:
    """More is refused with the limit."""
    with pytest.raises(InvalidInput, match=field):
        glass.diagnostics().profile(request_)


def test_the_deadline_is_looked_at_between_steps() -> None:
    """A diagnosis that takes too long ends when the time is over, not when it is done."""
    time = [0.0]
    events = glass.diagnostics(now=lambda: time[0]).diagnose(DiagnoseRequest("residual", deadline=10.0))
    next(events)
    next(events)

    time[0] = 10.0

    with pytest.raises(TooLate, match="deadline"):
        list(events)
