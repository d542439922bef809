"""Whether served models see what they saw at export: some of the pictures that were answered, shown to some layers.

They are shown to a session of its own with the kernels that the profile was made with, so that what differs is the
pictures; on one thread of low priority, and none of them is waited for: what comes too fast is left out.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np
import structlog

from service.core.drift import Profile, channel_means
from service.core.drift_window import Window, watched
from service.core.errors import NoSuchModel, Refused, ServiceError
from service.core.events import DriftMeasured, DriftSampled, Emit
from service.core.image import Limits, load
from service.core.introspection import Kernels
from service.core.messages import Answer, Lease, ModelKey, Request
from service.core.ports import Engine
from service.core.spec import Layer, Spec
from service.engine.taps import TapSession, TapSource, build
from service.introspect.desk import step_back
from service.lane import Batches, Outcomes

#: Pictures that wait for the thread.
_WAITING = 8

_log = structlog.get_logger("vitrine.introspect")


@dataclass(frozen=True, slots=True)
class Watch:
    """What is looked at: a share (0..1) of the pictures answered, the last `window` of them, in layers by patterns."""

    share: float
    window: int = 500
    layers: tuple[str, ...] = ()


class DriftWatch:
    """Watches any number of versions; a context manager around all lanes that it watches. Thread-safe.

    `source` is where a version's file is; `profile` reads what is stored beside it, None when nothing is, and raises
    `Refused` when another file has taken its place.
    """

    def __init__(
        self,
        watch: Watch,
        limits: Limits,
        source: Callable[[ModelKey, Engine], TapSource],
        profile: Callable[[ModelKey, str], Profile | None],
        emit: Emit,
    ) -> None:
        self._watch = watch
        self._limits = limits
        self._source = source
        self._profile = profile
        self._emit = emit
        self._thread = ThreadPoolExecutor(1, "drift", initializer=step_back)
        self._room = threading.BoundedSemaphore(_WAITING)
        self._open = True
        self._submitting = threading.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave out what waits; what runs is finished."""
        with self._submitting:
            self._open = False
            self._thread.shutdown(wait=False, cancel_futures=True)

    def lane(self, key: ModelKey, engine: Engine, lane: Batches) -> Batches:
        """The lane, with a share of what it answers looked at."""
        return _WatchedLane(lane, self._watch.share, _Subject(key, engine), self._offer)

    def _offer(self, subject: _Subject, request: Request) -> None:
        if not self._room.acquire(blocking=False):
            self._emit(DriftSampled(subject.key, "dropped"))
            return
        with self._submitting:
            if self._open:
                self._thread.submit(self._look, subject, request).add_done_callback(lambda _: self._room.release())

    def _look(self, subject: _Subject, request: Request) -> None:
        """Show one picture to the layers. On the thread of this class."""
        key = subject.key
        try:
            eye = subject.eye = subject.eye or self._opened(key, subject.engine)
            eye.look(request)
            if eye.window.due:
                self._emit(DriftMeasured(key, eye.window.images, eye.window.compare()))
            self._emit(DriftSampled(key, "measured"))
        except (Refused, NoSuchModel) as error:  # of what is stored with the version: the next picture changes nothing
            subject.watched = False
            _log.warning("activation drift is not watched", model=str(key), reason=str(error))
        except ServiceError as error:
            self._emit(DriftSampled(key, "failed", str(error)))
        except Exception:  # noqa: BLE001 - nobody waits for this thread to tell
            _log.exception("activation drift could not be measured", model=str(key))
            self._emit(DriftSampled(key, "failed", "internal error"))

    def _opened(self, key: ModelKey, engine: Engine) -> _Eye:
        profile = self._profile(key, engine.digest)
        if profile is None:
            raise Refused("the version has no profile (`vitrine-model profile`)")
        layers = watched(engine.spec.layers, profile, self._watch.layers)
        if not layers:
            raise Refused("drift_layers: none of the layers in its profile matches")
        session = build(self._source(key, engine), [layer.tensor for layer in layers], Kernels.REFERENCE)
        window = Window(profile, [layer.id for layer in layers], self._watch.window)
        return _Eye(engine.spec, self._limits, layers, session, window)


@dataclass(frozen=True, slots=True)
class _Eye:
    """One version's layers, and what they gave lately."""

    spec: Spec
    limits: Limits
    layers: Sequence[Layer]
    session: TapSession
    window: Window

    def look(self, request: Request) -> None:
        """Show them one picture. Raises `BadImage` or `EngineFailed`."""
        pixels = load(request.image, self.spec, self.limits, pixels=request.options.pixels)
        values = self.session.run(pixels[np.newaxis])
        self.window.add({layer.id: channel_means(values[layer.tensor][0]) for layer in self.layers})


@dataclass(slots=True)
class _Subject:
    """A version that is served, and its eye once there is one."""

    key: ModelKey
    engine: Engine
    eye: _Eye | None = None
    watched: bool = True


class _WatchedLane:
    def __init__(
        self, lane: Batches, share: float, subject: _Subject, offer: Callable[[_Subject, Request], None]
    ) -> None:
        self._lane = lane
        self._share = share
        self._subject = subject
        self._offer = offer

    def classify(self, leases: Sequence[Lease], *, alone: bool = False) -> Outcomes:
        """What the lane says."""
        outcomes = self._lane.classify(leases, alone=alone)
        for lease, outcome in outcomes if self._subject.watched else ():
            if isinstance(outcome, Answer) and random.random() < self._share:  # noqa: S311 - a sample, no secret
                self._offer(self._subject, lease.request)
        return outcomes
