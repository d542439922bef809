"""Feature maps as a stream of events: one header, then for each picture and layer its numbers and their checksum."""

from __future__ import annotations

import itertools
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.encodings import Kind, chunks, encode
from service.core.errors import InvalidInput, Refused, TooLate
from service.core.heads import class_weights
from service.core.introspection import (
    Chunk,
    Classified,
    Kernels,
    LayerEnd,
    LayerHeader,
    MapsEvent,
    MapsRequest,
    Parity,
    RunEnd,
    RunHeader,
)
from service.core.layers import LayerInfo
from service.core.maps import Key, TopK, Wanted, as_maps, choose, statistics
from service.core.messages import Options
from service.core.scores import scores, top_k
from service.introspect.layers import Anatomy
from service.introspect.pricing import Priced
from service.introspect.tapping import Shot, Subject, Tapped, Tapping, groups

#: Protobuf's own advice is to keep messages below 1 MB; our chunks are at most this long.
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Run:
    """One request, understood and priced."""

    subject: Subject
    anatomy: Anatomy
    priced: Sequence[Priced]
    request: MapsRequest
    total_bytes: int

    @property
    def layers(self) -> Sequence[LayerInfo]:
        """The layers to be shown, in order."""
        return [each.layer for each in self.priced]


def fetchable(chosen: Sequence[LayerInfo], request: MapsRequest, anatomy: Anatomy) -> Sequence[LayerInfo]:
    """The chosen layers, less those that are gone when the model is served, if that is what is looked at.

    It always is in INT8 networks: a float inside a fused group, once fetched, would make it compute in floats. Raises
    `Refused` when one of those was asked for by its very name.
    """
    if request.kernels is Kernels.REFERENCE and not anatomy.integers:
        return chosen
    cure = "the fp32 version of the model shows it" if anatomy.integers else "REFERENCE kernels show it"
    for layer in chosen:
        if layer.folded_into and layer.id in request.layers.include:
            raise Refused(f"layer {layer.id}: served, it is folded into {layer.folded_into}; {cure}")
    return [layer for layer in chosen if not layer.folded_into]


def dry(run: Run) -> Iterator[MapsEvent]:
    """The events of a run that computes nothing: headers with sizes."""
    yield RunHeader(run.subject.key, run.subject.source.digest, (), None, run.total_bytes, len(run.priced))
    for ordinal, each in enumerate(run.priced):
        yield LayerHeader(ordinal, each.layer, 0, each.shape, each.channels, each.box, each.size_bytes)
    yield RunEnd(None, 0.0, 0.0, 0)


def events(
    run: Run, shots: Sequence[Shot], tapping: Tapping, max_tapped_bytes: int, now: Callable[[], float] = time.monotonic
) -> Iterator[MapsEvent]:
    """The events of a run. Each step blocks; before each layer the deadline is looked at. Raises `TooLate`."""
    tally = _Tally(now())
    ordinals = itertools.count()
    for index, shot in enumerate(shots):
        for group in groups(run.layers, max_tapped_bytes):
            in_time(run.request.deadline, now())
            tensors = [_source(run, layer) for layer in group]
            tapped = tapping.tap(run.subject, run.anatomy.graph, tensors, shot, run.request.kernels)
            if tally.parity is None:
                yield _header(run, shots, tapped.parity)
            tally.add(tapped)
            for layer in group:
                in_time(run.request.deadline, now())
                yield from tally.count(_layer(run, layer, tapped, ordinal=next(ordinals), picture=index))
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


def _header(run: Run, shots: Sequence[Shot], parity: Parity) -> RunHeader:
    spec = run.subject.engine.spec
    rows = scores(np.stack([shot.logits for shot in shots]), spec)
    ranked = zip(shots, top_k(rows, spec, [Options()] * len(shots)), strict=True)
    pictures = tuple(Classified(shot.id, predictions) for shot, predictions in ranked)
    return RunHeader(
        run.subject.key, run.subject.source.digest, pictures, parity, run.total_bytes, len(shots) * len(run.priced)
    )


def _layer(run: Run, layer: LayerInfo, tapped: Tapped, *, ordinal: int, picture: int) -> Iterator[MapsEvent]:
    """One layer for one picture: header, bytes in chunks, checksum."""
    wanted, encoding = run.request.wanted, run.request.encoding
    values = tapped.values[_source(run, layer)]
    integers = run.anatomy.integers.get(layer.tensor) if encoding.kind is Kind.STORED else None
    maps = as_maps((values if integers is None else integers.floats(values))[0])
    cut = choose(maps, wanted, layer.field, _weights(run.anatomy, layer, wanted))
    encoded = encode(cut.values if integers is None else cut.same_of(as_maps(values[0])), encoding)
    yield LayerHeader(
        ordinal=ordinal,
        layer=layer,
        picture=picture,
        shape=encoded.shape,
        channels=cut.channels,
        box=cut.box,
        size_bytes=len(encoded.data),
        statistics=statistics(cut.values, wanted),
        per_channel=tuple(statistics(each, wanted) for each in cut.values) if wanted.per_channel else (),
        scale=encoded.scale if integers is None else tuple(integers.scale.ravel().tolist()),
        offset=encoded.offset,
        colormap=encoded.colormap,
        not_finite=encoded.not_finite,
        zero_point=() if integers is None else tuple(integers.zero_point.ravel().tolist()),
        dtype=encoded.dtype,
    )
    for offset, data in chunks(encoded, encoding.kind, CHUNK_BYTES):
        yield Chunk(ordinal, offset, data)
    yield LayerEnd(ordinal, zlib.crc32(encoded.data))


def _source(run: Run, layer: LayerInfo) -> str:
    """The tensor to fetch: the integers behind a layer where those are wanted, and it has any."""
    integers = run.anatomy.integers.get(layer.tensor)
    return layer.tensor if integers is None or run.request.encoding.kind is not Kind.STORED else integers.tensor


def _weights(anatomy: Anatomy, layer: LayerInfo, wanted: Wanted) -> NDArray[np.float64] | None:
    """What ranking by contribution needs, where it can be known."""
    top = wanted.channels
    if not isinstance(top, TopK) or top.key is not Key.CONTRIBUTION:
        return None
    weights = class_weights(anatomy.graph, layer.tensor)
    if weights is not None and not 0 <= top.class_index < len(weights):
        raise InvalidInput("channels.top_k.class_index", f"0 to {len(weights) - 1}", top.class_index)
    return None if weights is None else weights[top.class_index]
