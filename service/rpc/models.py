"""Model statuses and tunings on the wire <-> in the core."""

from __future__ import annotations

from collections.abc import Mapping

from service.core.errors import InvalidInput
from service.core.status import ModelStatus, State
from service.core.tuning import Measurement, Setting, Tuning
from service.rpc.pb.vitrine.v1 import models_pb2 as pb

MAX_NAME_CHARS = 128

STATES: Mapping[State, pb.ModelState] = {
    "available": pb.MODEL_STATE_AVAILABLE,
    "loading": pb.MODEL_STATE_LOADING,
    "ready": pb.MODEL_STATE_READY,
    "unloading": pb.MODEL_STATE_UNLOADING,
    "failed": pb.MODEL_STATE_FAILED,
}


def check_name(name: str) -> None:
    """Raise `InvalidInput` for what cannot be a model's name; whether there is one is the catalog's to say."""
    if not 0 < len(name) <= MAX_NAME_CHARS:
        raise InvalidInput("model", f"a name of 1 to {MAX_NAME_CHARS} characters", f"{len(name)} characters")


def from_status(status: ModelStatus) -> pb.Model:
    """What `Models.Get` tells about one version."""
    spec, tuning = status.spec, status.tuning
    return pb.Model(
        name=status.key.name,
        version=status.key.version,
        state=STATES[status.state],
        reason=status.reason or (tuning.fallback if tuning else ""),
        digest=status.digest,
        input=pb.Input(channels=spec.channels, height=spec.height, width=spec.width) if spec else None,
        labels=spec.labels if spec else (),
        task=spec.task if spec else "",
        provider=tuning.chosen.label if tuning else "",
        tuning=_from_tuning(tuning) if tuning else None,
        load_seconds=status.load_s,
        facts=spec.facts if spec else {},
        latest=status.latest,
    )


def to_tuning(tuning: pb.Tuning) -> Tuning:
    """What was measured and chosen, as the SDK shows it."""
    return Tuning(
        chosen=to_setting(tuning.chosen),
        measurements=tuple(
            Measurement(
                to_setting(m.setting),
                m.images_per_second,
                m.latency_ms,
                m.max_logit_difference,
                m.top1_agreement,
                m.rejected,
            )
            for m in tuning.measurements
        ),
        cached=tuning.cached,
        alone=to_setting(tuning.alone) if tuning.HasField("alone") else None,
    )


def _from_tuning(tuning: Tuning) -> pb.Tuning:
    return pb.Tuning(
        chosen=from_setting(tuning.chosen),
        measurements=[
            pb.Measurement(
                setting=from_setting(m.setting),
                images_per_second=m.images_per_second,
                latency_ms=m.latency_ms,
                max_logit_difference=m.max_logit_difference,
                top1_agreement=m.top1_agreement,
                rejected=m.rejected,
            )
            for m in tuning.measurements
        ],
        cached=tuning.cached,
        alone=from_setting(tuning.alone) if tuning.alone else None,
    )


def from_setting(setting: Setting) -> pb.Setting:
    """One way to run a model."""
    return pb.Setting(
        provider=setting.provider,
        precision=setting.precision,
        lanes=setting.lanes,
        intra_op_threads=setting.intra_op_threads,
        batch=setting.batch,
    )


def to_setting(setting: pb.Setting) -> Setting:
    """The inverse of `from_setting`."""
    return Setting(setting.provider, setting.precision, setting.lanes, setting.intra_op_threads, setting.batch)
