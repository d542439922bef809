"""Health, the client's side: the core's requests to messages, answers to the core's words."""

from __future__ import annotations

from service.core.comparison import LayerDifference
from service.core.diagnostics import (
    CompareRequest,
    ComparisonEnd,
    ComparisonEvent,
    ComparisonHeader,
    DiagnoseRequest,
    DiagnosisEnd,
    DiagnosisEvent,
    DiagnosisHeader,
    Examinee,
    LatencyProfile,
    ProfileRequest,
    Progress,
)
from service.core.drift import ChannelDrift, Drift
from service.core.health import LayerHealth
from service.core.latency import Kernel, KernelGroup
from service.core.messages import ModelKey
from service.core.spec import Variant
from service.rpc.introspection_questions import KERNEL_NUMBERS, from_picture, from_selector
from service.rpc.introspection_replies import to_layer, to_statistics
from service.rpc.models import to_setting
from service.rpc.pb.vitrine.v1 import diagnostics_pb2 as pb


def from_diagnose_request(request: DiagnoseRequest) -> pb.DiagnoseLayersRequest:
    """The deadline travels with the call."""
    return pb.DiagnoseLayersRequest(
        model=request.model,
        version=request.version,
        pictures=[from_picture(picture) for picture in request.pictures],
        layers=from_selector(request.layers),
        kernels=KERNEL_NUMBERS[request.kernels],
    )


def from_compare_request(request: CompareRequest) -> pb.CompareVersionsRequest:
    """The deadline travels with the call."""
    return pb.CompareVersionsRequest(
        model=request.model,
        version=request.version,
        other=request.other,
        other_version=request.other_version,
        pictures=[from_picture(picture) for picture in request.pictures],
        layers=from_selector(request.layers),
        kernels=KERNEL_NUMBERS[request.kernels],
        threshold_db=request.threshold_db,
    )


def from_profile_request(request: ProfileRequest) -> pb.ProfileLayersRequest:
    """The deadline travels with the call."""
    return pb.ProfileLayersRequest(model=request.model, version=request.version, batch=request.batch, runs=request.runs)


def to_diagnosis(event: pb.DiagnosisEvent) -> DiagnosisEvent:
    """One event of the stream."""
    match event.WhichOneof("event"):
        case "header":
            header = event.header
            return DiagnosisHeader(
                _examinee(header.model), header.images, header.are_samples, header.profile_images, header.layers
            )
        case "progress":
            return Progress(event.progress.done, event.progress.total)
        case "layer":
            return _health(event.layer)
        case _:
            return DiagnosisEnd(event.end.first_bad, event.end.bad_weights, event.end.compute_seconds)


def to_comparison(event: pb.ComparisonEvent) -> ComparisonEvent:
    """One event of the stream."""
    match event.WhichOneof("event"):
        case "header":
            return _comparison_header(event.header)
        case "progress":
            return Progress(event.progress.done, event.progress.total)
        case "layer":
            return _difference(event.layer)
        case _:
            return _comparison_end(event.end)


def to_latency(response: pb.ProfileLayersResponse) -> LatencyProfile:
    """Times per kernel."""
    return LatencyProfile(
        model=_examinee(response.model),
        setting=to_setting(response.served),
        measured=to_setting(response.measured),
        note=response.note,
        batch=response.batch,
        runs=response.runs,
        served_us=response.served_us,
        run_us=response.run_us,
        groups=tuple(
            KernelGroup(Kernel(each.kernel, each.op, each.provider, each.mean_us), tuple(each.layers))
            for each in response.groups
        ),
    )


def _examinee(model: pb.Examinee) -> Examinee:
    variant: Variant = "int8" if model.variant == "int8" else "fp32"
    return Examinee(ModelKey(model.model, model.version), model.digest, variant)


def _health(health: pb.LayerHealth) -> LayerHealth:
    return LayerHealth(
        layer=to_layer(health.layer),
        images=health.images,
        statistics=to_statistics(health.statistics),
        sparsity=health.sparsity,
        silent=tuple(health.silent),
        constant=tuple(health.constant),
        saturation=health.saturation if health.HasField("saturation") else None,
        saturated=tuple(health.saturated),
        drift=_drift(health.drift) if health.HasField("drift") else None,
    )


def _drift(drift: pb.Drift) -> Drift:
    worst = tuple(ChannelDrift(each.channel, each.psi, each.ks) for each in drift.worst)
    return Drift(drift.images, drift.reference_images, drift.channels, worst)


def _comparison_header(header: pb.ComparisonHeader) -> ComparisonHeader:
    return ComparisonHeader(
        first=_examinee(header.first),
        other=_examinee(header.other),
        images=header.images,
        are_samples=header.are_samples,
        threshold_db=header.threshold_db,
        layers=header.layers,
        only_first=tuple(header.only_first),
        only_other=tuple(header.only_other),
    )


def _difference(found: pb.LayerDifference) -> LayerDifference:
    return LayerDifference(
        layer=found.layer,
        shape=tuple(found.shape),
        other_shape=tuple(found.other_shape),
        max_abs=found.max_abs,
        relative=found.relative,
        cosine=found.cosine,
        sqnr_db=found.sqnr_db,
        cka=found.cka,
        cka_images=found.cka_images,
        worst=tuple((each.channel, each.sqnr_db) for each in found.worst),
    )


def _comparison_end(end: pb.ComparisonEnd) -> ComparisonEnd:
    return ComparisonEnd(
        first_diverging=end.first_diverging,
        largest_drop=end.largest_drop,
        agreement=end.agreement,
        max_logit_difference=end.max_logit_difference,
        compute_s=end.compute_seconds,
        drops=dict(end.drops_db),
    )
