"""The use cases about health: diagnose layers, compare versions, profile layers. All of it blocks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from service.core.comparison import Compared, LayerDifference, first_diverging, with_drops
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
from service.core.drift import Profile
from service.core.errors import InvalidInput, NoSuchLayer
from service.core.health import Examined, bad_weights, ends, first_bad
from service.core.introspection import Kernels, MapsRequest, Picture
from service.core.latency import groups as latency_groups
from service.core.layers import LayerInfo, Selector, select
from service.core.messages import ModelKey
from service.core.tuning import Setting
from service.engine.folding import fused
from service.engine.profiling import trace
from service.engine.taps import TapSessions
from service.introspect.feature_maps import fetchable, in_time
from service.introspect.introspector import Introspector
from service.introspect.layers import Anatomy
from service.introspect.steps import Patient, steps
from service.introspect.tapping import Subject

_KEPT_BYTES = 32 << 20  # of one layer's values, to compare representations
_RUNS, _MOST_RUNS, _MOST_BATCH = 50, 1000, 64
_BETWEEN_VARIANTS_DB, _WITHIN_DB = 15.0, 60.0


@dataclass(frozen=True, slots=True)
class Kept:
    """What is stored with a version: sample pixels [N, height, width, channels], and the profile, if there is one."""

    pixels: NDArray[np.uint8]
    profile: Profile | None


class Diagnostics:
    """Examines served models. Thread-safe; every method, and every step of a stream, blocks.

    `kept(key, digest)` reads what is stored with a version; it raises `Refused` when that is not there any more.
    """

    def __init__(
        self,
        inside: Introspector,
        sessions: TapSessions,
        kept: Callable[[ModelKey, str], Kept],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inside = inside
        self._sessions = sessions
        self._kept = kept
        self._now = now

    def diagnose(self, request: DiagnoseRequest) -> Iterator[DiagnosisEvent]:
        """Each layer's health. Raises what the introspector's `maps` does."""
        started = self._now()
        subject, anatomy = self._inside.look(request.model, request.version)
        kept = self._kept(subject.key, subject.source.digest)
        layers = _chosen(anatomy, request.layers, request.kernels)
        examined = Patient(subject, anatomy.graph, layers, self._pixels(subject, request.pictures, kept))
        images = kept.profile.images if kept.profile else 0
        yield DiagnosisHeader(_examinee(subject), examined.images, not request.pictures, images, len(layers))
        tallies = [Examined(layer, ends(anatomy.graph, layer, anatomy.integers)) for layer in layers]
        bad: slice | None = None
        for step in steps(self._sessions, [examined], request.kernels):
            in_time(request.deadline, self._now())
            for position in step.positions:
                tallies[position].add(step.values[0][layers[position].tensor])
                bad = (
                    slice(step.images.start, step.images.stop)
                    if bad is None and not tallies[position].is_finite
                    else bad
                )
            yield Progress(step.done, step.total)
            if step.closes:
                yield from (tallies[position].report(kept.profile) for position in step.positions)
        first = self._first_bad(replace(examined, pixels=examined.pixels[bad]), anatomy, request) if bad else None
        weights = bad_weights(anatomy.graph, first) if first else 0
        yield DiagnosisEnd(first.id if first else "", weights, self._now() - started)

    def compare(self, request: CompareRequest) -> Iterator[ComparisonEvent]:
        """How far two versions are apart. Raises what `diagnose` does, and `InvalidInput` for unlike inputs."""
        started = self._now()
        pair = (
            self._inside.look(request.model, request.version),
            self._inside.look(request.other or request.model, request.other_version),
        )
        shown = self._shown(pair[0][0], pair[1][0], request.pictures)
        chosen = [_chosen(anatomy, request.layers, request.kernels) for _, anatomy in pair]
        ids = [[layer.id for layer in layers] for layers in chosen]
        both = [id_ for id_ in ids[0] if id_ in set(ids[1])]
        if not both:
            raise NoSuchLayer("layers: the two networks have none of the same name among those selected")
        patients = [
            Patient(subject, anatomy.graph, _named(layers, both), pixels)
            for (subject, anatomy), layers, pixels in zip(pair, chosen, shown, strict=True)
        ]
        threshold_db = _threshold(request, *(subject for subject, _ in pair))
        yield ComparisonHeader(
            first=_examinee(pair[0][0]),
            other=_examinee(pair[1][0]),
            images=patients[0].images,
            are_samples=not request.pictures,
            threshold_db=threshold_db,
            layers=len(both),
            only_first=tuple(id_ for id_ in ids[0] if id_ not in both),
            only_other=tuple(id_ for id_ in ids[1] if id_ not in both),
        )
        found: dict[str, LayerDifference] = {}
        tallies = [Compared(id_, _KEPT_BYTES) for id_ in both]
        for step in steps(self._sessions, patients, request.kernels):
            in_time(request.deadline, self._now())
            for position in step.positions:
                tensors = [patient.layers[position].tensor for patient in patients]
                tallies[position].add(*(values[name] for values, name in zip(step.values, tensors, strict=True)))
            yield Progress(step.done, step.total)
            if step.closes:
                closed = [tallies[position].result() for position in step.positions]
                found |= {each.layer: each for each in closed}
                yield from closed
        yield _concluded(patients, found, threshold_db, self._now() - started)

    def profile(self, request: ProfileRequest) -> LatencyProfile:
        """Times per layer. Raises `InvalidInput`, `TooLate`, and what the introspector's `layers` does."""
        subject, anatomy = self._inside.look(request.model, request.version)
        served = subject.engine.tuning.chosen
        size, runs = request.batch or served.batch, request.runs or _RUNS
        for name, value, limit in (("batch", size, _MOST_BATCH), ("runs", runs, _MOST_RUNS)):
            if not 1 <= value <= limit:
                raise InvalidInput(name, f"1 to {limit}", value)
        pixels = self._kept(subject.key, subject.source.digest).pixels
        batch = pixels[np.arange(size) % len(pixels)]
        model = subject.source.read()

        def check() -> None:
            in_time(request.deadline, self._now())

        whole = trace(model, served, batch, runs, check)
        setting, note, timed = served, "", whole
        if any(kernel.provider != "cpu" for kernel in whole.kernels):
            count = "1 kernel" if len(whole.kernels) == 1 else f"{len(whole.kernels)} kernels"
            setting = Setting("cpu", "fp32", served.lanes, served.intra_op_threads, served.batch)
            note = (
                f"{served.label} runs the network as {count} and reports no times per layer; "
                f"these are of {setting.label} with as many threads"
            )
            timed = trace(model, setting, batch, runs, check)
        found = latency_groups(timed.kernels, fused(model), anatomy.layers, anatomy.integers)
        return LatencyProfile(_examinee(subject), served, setting, note, size, runs, whole.run_us, timed.run_us, found)

    def _pixels(self, subject: Subject, pictures: Sequence[Picture], kept: Kept) -> NDArray[np.uint8]:
        if not pictures:
            return kept.pixels
        return np.stack([shot.pixels for shot in self._inside.shots(subject, pictures)])

    def _shown(
        self, first: Subject, other: Subject, pictures: Sequence[Picture]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """What both networks are shown: pictures prepared for each, or the first one's samples."""
        if pictures:
            one, two = (self._inside.shots(subject, pictures) for subject in (first, other))
            return np.stack([shot.pixels for shot in one]), np.stack([shot.pixels for shot in two])
        if first.engine.spec.shape != other.engine.spec.shape:
            limit = f"needed, since the samples of {first.key} do not fit {other.key}"
            raise InvalidInput("pictures", limit, "none")
        pixels = self._kept(first.key, first.source.digest).pixels
        return pixels, pixels

    def _first_bad(self, patient: Patient, anatomy: Anatomy, request: DiagnoseRequest) -> LayerInfo | None:
        """Where a batch went wrong, looking at every tensor that can be had."""
        everything = [layer for layer in anatomy.layers if not (anatomy.integers and layer.folded_into)]
        whole = replace(patient, layers=everything)
        bad: dict[str, bool] = {}
        for step in steps(self._sessions, [whole], Kernels.REFERENCE):
            in_time(request.deadline, self._now())
            bad |= {name: not np.isfinite(values).all() for name, values in step.values[0].items()}
        return first_bad(anatomy.graph, everything, bad)


def _chosen(anatomy: Anatomy, selector: Selector, kernels: Kernels) -> list[LayerInfo]:
    for name in selector.include:
        anatomy.check(name)
    request = MapsRequest("", 0, (), selector, kernels=kernels)
    chosen = list(fetchable(select(anatomy.layers, selector), request, anatomy))
    if not chosen:
        raise NoSuchLayer("layers: the selection matches none")
    return chosen


def _named(layers: Sequence[LayerInfo], ids: Sequence[str]) -> list[LayerInfo]:
    """The layers with these ids, in their order."""
    by_id = {layer.id: layer for layer in layers}
    return [by_id[id_] for id_ in ids]


def _examinee(subject: Subject) -> Examinee:
    return Examinee(subject.key, subject.source.digest, subject.engine.spec.variant)


def _threshold(request: CompareRequest, first: Subject, other: Subject) -> float:
    if request.threshold_db is not None:
        return request.threshold_db
    same = first.engine.spec.variant == other.engine.spec.variant
    return _WITHIN_DB if same else _BETWEEN_VARIANTS_DB


def _concluded(
    patients: Sequence[Patient], found: Mapping[str, LayerDifference], threshold_db: float, compute_s: float
) -> ComparisonEnd:
    first = patients[0]
    drops = with_drops(first.graph, first.layers, found)
    logits = [patient.logits() for patient in patients]
    alike = logits[0].shape == logits[1].shape
    return ComparisonEnd(
        first_diverging=first_diverging(first.graph, first.layers, found, threshold_db),
        largest_drop=max(drops, key=lambda id_: drops[id_], default=""),
        agreement=float((logits[0].argmax(axis=1) == logits[1].argmax(axis=1)).mean()) if alike else math.nan,
        max_logit_difference=float(np.abs(logits[0] - logits[1]).max()) if alike else math.nan,
        compute_s=compute_s,
        drops=drops,
    )
