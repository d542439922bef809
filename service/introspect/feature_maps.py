"""Feature maps as a stream of events: one header, then for each picture and layer its numbers and their checksum."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from service.core.errors import Refused, TooLate
from service.core.introspection import (
    Chunk,
    Classified,
    Kernels,
    LayerHeader,
    MapsEvent,
    MapsRequest,
    Parity,
    RunEnd,
    RunHeader,
)
from service.core.layers import LayerInfo
from service.core.messages import Options
from service.core.scores import scores, top_k
from service.core.spec import Spec
from service.introspect.layers import Anatomy
from service.introspect.pricing import Priced
from service.introspect.summaries import Summaries, is_summary
from service.introspect.tapping import Shot, Subject, Tapped, Tapping, groups
from service.introspect.values import Values


@dataclass(frozen=True, slots=True)
class Run:
    """One request, understood and priced."""

    subject: Subject
    anatomy: Anatomy
    priced: Sequence[Priced]
    request: MapsRequest
    total_bytes: int


def fetchable(chosen: Sequence[LayerInfo], request: MapsRequest, anatomy: Anatomy) -> Sequence[LayerInfo]:
    """The chosen layers, less those that are gone when the model is served, if that is what is looked at.

    It always is in INT8 networks: a float inside a fused group, once fetched, would make it compute in floats. Raises
    `Refused` when one of those was asked for by its very name.
    """
    if request.arithmetic is not Kernels.AS_SERVED and not anatomy.integers:
        return chosen
    cure = "the fp32 version of the model shows it" if anatomy.integers else "REFERENCE kernels show it"
    for layer in chosen:
        if layer.folded_into and layer.id in request.layers.include:
            raise Refused(f"layer {layer.id}: served, it is folded into {layer.folded_into}; {cure}")
    return [layer for layer in chosen if not layer.folded_into]


def dry(run: Run) -> Iterator[MapsEvent]:
    """The events of a run that computes nothing: headers with sizes."""
    yield _header(run, (), None)
    for ordinal, each in enumerate(run.priced):
        yield LayerHeader(ordinal, each.layer, 0, each.shape, each.channels, each.box, each.size_bytes)
    yield RunEnd(None, 0.0, 0.0, 0)


def events(
    run: Run, shots: Sequence[Shot], tapping: Tapping, max_tapped_bytes: int, now: Callable[[], float] = time.monotonic
) -> Iterator[MapsEvent]:
    """The events of a run. Each step blocks; before each layer the deadline is looked at. Raises `TooLate`."""
    tally = _Tally(now())
    ordinals = itertools.count()
    whole = is_summary(run.request, run.anatomy)
    view = Summaries(run.anatomy, run.request.arithmetic) if whole else Values(run.anatomy, run.request)
    for index, shot in enumerate(shots):
        for group in groups(run.priced, max_tapped_bytes):
            in_time(run.request.deadline, now())
            tensors = [view.source(each.layer) for each in group]
            tapped = tapping.tap(run.subject, run.anatomy.graph, tensors, shot, run.request.arithmetic)
            if tally.parity is None:
                yield _header(run, shots, tapped.parity)
            tally.add(tapped)
            for each in group:
                in_time(run.request.deadline, now())
                yield from tally.count(view.events(each, tapped, ordinal=next(ordinals), picture=index))
    yield RunEnd(tally.parity, tally.build_s, now() - tally.started - tally.build_s, tally.sent_bytes)


def in_time(deadline: float, now: float) -> None:
    """Raise `TooLate` when the deadline has passed."""
    if now >= deadline:
        raise TooLate("deadline: it passed while layers were being looked at")


class _Tally:
    """What the runs of a request took, and how far they were off."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.parity: Parity | None = None
        self.build_s = 0.0
        self.sent_bytes = 0

    def add(self, tapped: Tapped) -> None:
        self.build_s += tapped.build_s
        if self.parity is None or tapped.parity.max_logit_difference > self.parity.max_logit_difference:
            self.parity = tapped.parity

    def count(self, events: Iterator[MapsEvent]) -> Iterator[MapsEvent]:
        for event in events:
            self.sent_bytes += len(event.data) if isinstance(event, Chunk) else 0
            yield event


def _header(run: Run, shots: Sequence[Shot], parity: Parity | None) -> RunHeader:
    """Without pictures, one is priced."""
    pictures = _classified(run.subject.engine.spec, shots) if shots else ()
    return RunHeader(
        key=run.subject.key,
        digest=run.subject.source.digest,
        pictures=pictures,
        parity=parity,
        total_bytes=run.total_bytes,
        layers=max(len(shots), 1) * len(run.priced),
        kernels=run.request.arithmetic,
    )


def _classified(spec: Spec, shots: Sequence[Shot]) -> tuple[Classified, ...]:
    rows = scores(np.stack([shot.logits for shot in shots]), spec)
    ranked = zip(shots, top_k(rows, spec, [Options()] * len(shots)), strict=True)
    return tuple(Classified(shot.id, predictions) for shot, predictions in ranked)
