"""The use cases: list layers, send feature maps, explain a unit. All of it blocks; the edge has threads for it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from service.core.arithmetic import explain, needed
from service.core.attribution import AttributionEvent, AttributionRequest, question
from service.core.errors import InvalidInput, NoSuchLayer
from service.core.image import Limits, inspect, load
from service.core.introspection import (
    Kernels,
    Listing,
    MapsEvent,
    MapsRequest,
    Picture,
    UnitAnswer,
    UnitRequest,
)
from service.core.layers import TENSOR, Selector, find, select
from service.engine.taps import TapSessions
from service.introspect import attribution
from service.introspect.case import Case
from service.introspect.feature_maps import Run, dry, events, fetchable, in_time
from service.introspect.layers import Anatomy, study
from service.introspect.network import Network
from service.introspect.pictures import PictureStore, Seen, id_of
from service.introspect.pricing import price_all, total
from service.introspect.tapping import Shot, Subject, Tapping


@dataclass(frozen=True, slots=True)
class Budget:
    """How much looking in may take.

    Bytes of an answer, and of tensors held for one picture; models whose graph is kept; runs for one map of evidence.
    """

    max_answer_bytes: int = 256 << 20
    max_tapped_bytes: int = 128 << 20
    max_pictures: int = 64
    max_graphs: int = 4
    max_runs: int = 20_000


class Introspector:
    """Looks into served models. Thread-safe; every method blocks.

    `subject(model, version)` finds what is served, version 0 for the latest; it raises `NoSuchModel` or `NotReady`.
    """

    def __init__(
        self,
        subject: Callable[[str, int], Subject],
        sessions: TapSessions,
        *,
        pictures: PictureStore,
        limits: Limits,
        budget: Budget,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._subject = subject
        self._sessions = sessions
        self._tapping = Tapping(sessions)
        self._pictures = pictures
        self._limits = limits
        self._budget = budget
        self._now = now
        self._studied: OrderedDict[str, Anatomy] = OrderedDict()
        self._studying = threading.Lock()

    def keep(self, image: bytes) -> str:
        """Remember a picture whose header was looked at, and return its id. Raises `BadImage` or `InvalidInput`."""
        inspect(image, self._limits)
        return self._pictures.put(image)

    def layers(self, model: str, version: int, selector: Selector) -> Listing:
        """The chosen layers. Raises `NoSuchModel`, `NoSuchLayer`, `NotReady` or `InvalidInput`."""
        subject = self._subject(model, version)
        anatomy = self._anatomy(subject)
        chosen = select(anatomy.layers, selector)
        return Listing(subject.key, subject.source.digest, chosen, anatomy.names_modules)

    def maps(self, request: MapsRequest) -> Iterator[MapsEvent]:
        """The feature maps, event by event; each step of the iteration blocks.

        Raises what `layers` does, `BadImage`, `NoSuchPicture`, `OverBudget`, `Refused`, `TooLate` or `EngineFailed`.
        """
        run = self._plan(request)
        if request.dry_run:
            yield from dry(run)
            return
        in_time(request.deadline, self._now())
        shots = [self._shoot(run.subject, picture) for picture in request.pictures]
        yield from events(run, shots, self._tapping, self._budget.max_tapped_bytes, self._now)

    def unit(self, request: UnitRequest) -> UnitAnswer:
        """The arithmetic of one unit. Raises what `maps` does."""
        subject = self._subject(request.model, request.version)
        anatomy = self._anatomy(subject)
        anatomy.check(request.layer)
        layer = find(anatomy.layers, request.layer)
        tensors = needed(anatomy.graph, layer)
        in_time(request.deadline, self._now())
        shot = self._shoot(subject, request.picture)
        tapped = self._tapping.tap(subject, anatomy.graph, tensors, shot, Kernels.REFERENCE)
        explained = explain(anatomy.graph, layer, request.place, tapped.values)
        names = {each.tensor: each.id for each in anatomy.layers}
        seen = None if layer.field is None else layer.field.of(*request.place[1:])
        return UnitAnswer(
            key=subject.key,
            digest=subject.source.digest,
            picture_id=shot.id,
            layer=layer,
            place=request.place,
            explained=explained,
            field=None if seen is None else seen.clipped(subject.engine.spec.shape[:2]),
            parity=tapped.parity,
            tensors={name: names.get(name, TENSOR + name) for name in tensors},
        )

    def attribution(self, request: AttributionRequest) -> Iterator[AttributionEvent]:
        """The evidence for a class, event by event; each step of the iteration blocks. Raises what `maps` does."""
        subject = self._subject(request.model, request.version)
        in_time(request.deadline, self._now())
        anatomy = self._anatomy(subject)
        anatomy.check(request.layer)
        shot = self._shoot(subject, request.picture)
        spec = subject.engine.spec
        case = Case(
            request=request,
            question=question(request, shot.logits, spec.labels),
            spec=spec,
            anatomy=anatomy,
            pixels=shot.pixels,
            network=Network(subject.source, anatomy.graph, self._sessions, request.deadline, self._now),
            max_bytes=self._budget.max_tapped_bytes,
        )
        yield from attribution.events(case, subject, shot, self._budget.max_runs, self._now)

    @property
    def sessions(self) -> TapSessions:
        """The tap sessions, which are forgotten with their model."""
        return self._sessions

    def look(self, model: str, version: int) -> tuple[Subject, Anatomy]:
        """What is served, and its layers. Raises what `layers` does."""
        subject = self._subject(model, version)
        return subject, self._anatomy(subject)

    def shots(self, subject: Subject, pictures: Sequence[Picture]) -> list[Shot]:
        """Pictures decoded and classified. Raises `BadImage`, `NoSuchPicture` or `EngineFailed`."""
        if len(pictures) > self._budget.max_pictures:
            raise InvalidInput("pictures", f"at most {self._budget.max_pictures}", len(pictures))
        return [self._shoot(subject, picture) for picture in pictures]

    def forget(self, digest: str) -> None:
        """Drop what is kept of a model file that is served no longer."""
        self._sessions.forget(digest)
        self._pictures.forget(digest)
        with self._studying:
            self._studied.pop(digest, None)

    def _plan(self, request: MapsRequest) -> Run:
        """Understand and price a request."""
        if len(request.pictures) > self._budget.max_pictures:
            raise InvalidInput("pictures", f"at most {self._budget.max_pictures}", len(request.pictures))
        if not request.pictures and not request.dry_run:
            raise InvalidInput("pictures", "at least one, unless dry_run is set", 0)
        subject = self._subject(request.model, request.version)
        anatomy = self._anatomy(subject)
        for name in request.layers.include:
            anatomy.check(name)
        chosen = fetchable(select(anatomy.layers, request.layers), request, anatomy)
        if not chosen:
            raise NoSuchLayer("layers: the selection matches none")
        priced = price_all(chosen, request.wanted, request.encoding, anatomy.integers)
        return Run(subject, anatomy, priced, request, total(priced, request, self._budget.max_answer_bytes))

    def _shoot(self, subject: Subject, picture: Picture) -> Shot:
        """Decode a picture and let the serving session classify it, once for all questions about a kept one."""
        image = picture.image or self._pictures.get(picture.id)
        kept = id_of(image) if picture.keep and not picture.pixels else ""
        seen = self._pictures.seen(kept, subject.source.digest)
        if seen is None:
            pixels = load(image, subject.engine.spec, self._limits, pixels=picture.pixels)
            seen = Seen(pixels, subject.engine.run(pixels[np.newaxis])[0])
        if kept:
            self._pictures.put(image)
            self._pictures.saw(kept, subject.source.digest, seen)
        return Shot(kept, seen.pixels, seen.logits)

    def _anatomy(self, subject: Subject) -> Anatomy:
        digest = subject.source.digest
        with self._studying:
            if digest not in self._studied:
                self._studied[digest] = study(subject.source, subject.engine.spec, self._sessions)
                while len(self._studied) > self._budget.max_graphs:
                    self._studied.popitem(last=False)
            self._studied.move_to_end(digest)
            return self._studied[digest]
