"""Health, the server's side: requests to the core's words, answers to messages. The client's side is `examinations`."""

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
from service.core.drift import Drift
from service.core.health import LayerHealth
from service.core.introspection import Kernels
from service.core.latency import KernelGroup
from service.rpc.introspection import KERNELS, known, to_picture, to_selector
from service.rpc.introspection_answers import from_layer, from_statistics
from service.rpc.models import check_name, from_setting
from service.rpc.pb.vitrine.v1 import diagnostics_pb2 as pb


def to_diagnose_request(request: pb.DiagnoseLayersRequest, deadline: float) -> DiagnoseRequest:
    """Which layers on which pictures; raises `InvalidInput`."""
    check_name(request.model)
    return DiagnoseRequest(
        model=request.model,
        version=request.version,
        pictures=tuple(to_picture(each, f"pictures[{i}]") for i, each in enumerate(request.pictures)),
        layers=to_selector(request.layers),
        kernels=known(KERNELS, request.kernels, "kernels") or Kernels.REFERENCE,
        deadline=deadline,
    )


def to_compare_request(request: pb.CompareVersionsRequest, deadline: float) -> CompareRequest:
    """Which two versions on which pictures; raises `InvalidInput`."""
    check_name(request.model)
    if request.other:
        check_name(request.other)
    return CompareRequest(
        model=request.model,
        version=request.version,
        other=request.other,
        other_version=request.other_version,
        pictures=tuple(to_picture(each, f"pictures[{i}]") for i, each in enumerate(request.pictures)),
        layers=to_selector(request.layers),
        kernels=known(KERNELS, request.kernels, "kernels") or Kernels.REFERENCE,
        threshold_db=request.threshold_db if request.HasField("threshold_db") else None,
        deadline=deadline,
    )


def to_profile_request(request: pb.ProfileLayersRequest, deadline: float) -> ProfileRequest:
    """How often in which batches; raises `InvalidInput`."""
    check_name(request.model)
    return ProfileRequest(request.model, request.version, request.batch, request.runs, deadline)


def from_diagnosis(event: DiagnosisEvent) -> pb.DiagnosisEvent:
    """One message of the stream."""
    match event:
        case DiagnosisHeader(model, images, are_samples, profile_images, layers):
            header = pb.DiagnosisHeader(
                model=_examinee(model),
                images=images,
                are_samples=are_samples,
                profile_images=profile_images,
                layers=layers,
            )
            return pb.DiagnosisEvent(header=header)
        case Progress(done, total):
            return pb.DiagnosisEvent(progress=pb.Progress(done=done, total=total))
        case LayerHealth():
            return pb.DiagnosisEvent(layer=_health(event))
        case DiagnosisEnd(first_bad, bad_weights, compute_s):
            end = pb.DiagnosisEnd(first_bad=first_bad, bad_weights=bad_weights, compute_seconds=compute_s)
            return pb.DiagnosisEvent(end=end)


def from_comparison(event: ComparisonEvent) -> pb.ComparisonEvent:
    """One message of the stream."""
    match event:
        case ComparisonHeader():
            return pb.ComparisonEvent(header=_comparison_header(event))
        case Progress(done, total):
            return pb.ComparisonEvent(progress=pb.Progress(done=done, total=total))
        case LayerDifference():
            return pb.ComparisonEvent(layer=_difference(event))
        case ComparisonEnd():
            return pb.ComparisonEvent(end=_comparison_end(event))


def from_latency(profile: LatencyProfile) -> pb.ProfileLayersResponse:
    """Times per kernel."""
    return pb.ProfileLayersResponse(
        model=_examinee(profile.model),
        served=from_setting(profile.setting),
        measured=from_setting(profile.measured),
        note=profile.note,
        batch=profile.batch,
        runs=profile.runs,
        served_us=profile.served_us,
        run_us=profile.run_us,
        groups=[_group(group) for group in profile.groups],
    )


def _examinee(model: Examinee) -> pb.Examinee:
    return pb.Examinee(model=model.key.name, version=model.key.version, digest=model.digest, variant=model.variant)


def _health(health: LayerHealth) -> pb.LayerHealth:
    return pb.LayerHealth(
        layer=from_layer(health.layer),
        images=health.images,
        statistics=from_statistics(health.statistics),
        sparsity=health.sparsity,
        silent=health.silent,
        constant=health.constant,
        saturation=health.saturation,
        saturated=health.saturated,
        drift=_drift(health.drift) if health.drift else None,
    )


def _drift(drift: Drift) -> pb.Drift:
    worst = [pb.ChannelDrift(channel=each.channel, psi=each.psi, ks=each.ks) for each in drift.worst]
    return pb.Drift(images=drift.images, reference_images=drift.reference_images, channels=drift.channels, worst=worst)


def _comparison_header(header: ComparisonHeader) -> pb.ComparisonHeader:
    return pb.ComparisonHeader(
        first=_examinee(header.first),
        other=_examinee(header.other),
        images=header.images,
        are_samples=header.are_samples,
        threshold_db=header.threshold_db,
        layers=header.layers,
        only_first=header.only_first,
        only_other=header.only_other,
    )


def _difference(found: LayerDifference) -> pb.LayerDifference:
    return pb.LayerDifference(
        layer=found.layer,
        shape=found.shape,
        other_shape=found.other_shape,
        max_abs=found.max_abs,
        relative=found.relative,
        cosine=found.cosine,
        sqnr_db=found.sqnr_db,
        cka=found.cka,
        cka_images=found.cka_images,
        worst=[pb.ChannelRatio(channel=channel, sqnr_db=ratio) for channel, ratio in found.worst],
    )


def _comparison_end(end: ComparisonEnd) -> pb.ComparisonEnd:
    return pb.ComparisonEnd(
        first_diverging=end.first_diverging,
        largest_drop=end.largest_drop,
        agreement=end.agreement,
        max_logit_difference=end.max_logit_difference,
        compute_seconds=end.compute_s,
        drops_db=end.drops,
    )


def _group(group: KernelGroup) -> pb.KernelGroup:
    kernel = group.kernel
    return pb.KernelGroup(
        kernel=kernel.name, op=kernel.op, provider=kernel.provider, mean_us=kernel.mean_us, layers=group.layers
    )
