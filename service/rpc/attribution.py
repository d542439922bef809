"""Questions for evidence, to and off the wire."""

from __future__ import annotations

from collections.abc import Mapping

from service.core.attribution import AttributionRequest, Method, Target
from service.core.faithfulness import Check
from service.core.overlay import Overlay
from service.core.perturbation import Fill, Occlusion, Rise
from service.rpc.introspection import known, to_picture
from service.rpc.introspection_questions import from_picture
from service.rpc.models import check_name
from service.rpc.pb.vitrine.v1 import attribution_pb2 as pb

METHODS: Mapping[Method, pb.AttributionMethod] = {
    Method.AUTO: pb.ATTRIBUTION_METHOD_AUTO,
    Method.CAM: pb.ATTRIBUTION_METHOD_CAM,
    Method.HIRES_CAM: pb.ATTRIBUTION_METHOD_HIRES_CAM,
    Method.GRAD_CAM: pb.ATTRIBUTION_METHOD_GRAD_CAM,
    Method.RECIPRO_CAM: pb.ATTRIBUTION_METHOD_RECIPRO_CAM,
    Method.LAYER_CAM: pb.ATTRIBUTION_METHOD_LAYER_CAM,
    Method.OCCLUSION: pb.ATTRIBUTION_METHOD_OCCLUSION,
    Method.RISE: pb.ATTRIBUTION_METHOD_RISE,
}
_METHODS = {number: method for method, number in METHODS.items()} | {
    pb.ATTRIBUTION_METHOD_UNSPECIFIED: Method.AUTO,
}
_FILLS: Mapping[Fill, pb.Fill] = {
    Fill.MEAN: pb.FILL_MEAN,
    Fill.BLUR: pb.FILL_BLUR,
    Fill.BLACK: pb.FILL_BLACK,
    Fill.WHITE: pb.FILL_WHITE,
}
_FILL_NUMBERS = {number: fill for fill, number in _FILLS.items()} | {pb.FILL_UNSPECIFIED: Fill.MEAN}
#: What a zero, or an absent number, on the wire stands for.
_RISE, _CHECK, _OVERLAY = Rise(), Check(), Overlay()


def to_request(request: pb.AttributeRequest, deadline: float) -> AttributionRequest:
    """A question off the wire; raises `InvalidInput`."""
    check_name(request.model)
    rise, occlusion = request.rise, request.occlusion
    return AttributionRequest(
        model=request.model,
        version=request.version,
        picture=to_picture(request.picture, "picture"),
        method=known(_METHODS, request.method, "method"),
        layer=request.layer,
        target=_to_target(request.target),
        versus=_to_target(request.versus),
        class_weights=tuple(request.class_weights),
        signed=request.signed,
        fill=known(_FILL_NUMBERS, request.fill, "fill"),
        occlusion=Occlusion(occlusion.patch, occlusion.stride),
        rise=Rise(rise.masks or _RISE.masks, rise.cells or _RISE.cells, rise.keep or _RISE.keep, rise.seed),
        overlay=_to_overlay(request.overlay) if request.HasField("overlay") else None,
        check=_to_check(request.check) if request.HasField("check") else None,
        snapshots=request.snapshots,
        deadline=deadline,
    )


def from_request(request: AttributionRequest) -> pb.AttributeRequest:
    """A question onto the wire; the deadline travels with the call."""
    rise, occlusion = request.rise, request.occlusion
    return pb.AttributeRequest(
        model=request.model,
        version=request.version,
        picture=from_picture(request.picture),
        method=METHODS[request.method],
        layer=request.layer,
        target=_from_target(request.target),
        versus=_from_target(request.versus),
        class_weights=request.class_weights,
        signed=request.signed,
        fill=_FILLS[request.fill],
        occlusion=pb.Occlusion(patch=occlusion.patch, stride=occlusion.stride),
        rise=pb.Rise(masks=rise.masks, cells=rise.cells, keep=rise.keep, seed=rise.seed),
        overlay=_from_overlay(request.overlay) if request.overlay else None,
        check=_from_check(request.check) if request.check else None,
        snapshots=request.snapshots,
    )


def _to_target(target: pb.ClassRef) -> Target:
    match target.WhichOneof("by"):
        case "index":
            return target.index
        case "label":
            return target.label
        case _:
            return None


def _from_target(target: Target) -> pb.ClassRef | None:
    match target:
        case int():
            return pb.ClassRef(index=target)
        case str():
            return pb.ClassRef(label=target)
        case None:
            return None


def _to_overlay(overlay: pb.OverlayOptions) -> Overlay:
    return Overlay(overlay.colormap, overlay.min_side or _OVERLAY.min_side, not overlay.without_legend)


def _from_overlay(overlay: Overlay) -> pb.OverlayOptions:
    return pb.OverlayOptions(colormap=overlay.colormap, min_side=overlay.min_side, without_legend=not overlay.legend)


def _to_check(check: pb.CheckOptions) -> Check:
    return Check(check.steps or _CHECK.steps, check.controls or _CHECK.controls, check.seed)


def _from_check(check: Check) -> pb.CheckOptions:
    return pb.CheckOptions(steps=check.steps, controls=check.controls, seed=check.seed)
