"""Notices a lane whose batch never ends: a native library that hangs cannot be interrupted, only its process killed."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from service.core.messages import Lease, ModelKey
from service.core.patience import Patience
from service.lane import Batches, Outcomes

#: Batches of a model that are remembered, for their p99.
_REMEMBERED = 512


class Watchdog:
    """Looks at all lanes of a process. Thread-safe."""

    def __init__(self, patience: Patience, now: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._now = now
        self._watched: list[_Watched] = []

    def watch(self, model: ModelKey, lane: Batches, typical_s: float) -> Batches:
        """The lane, watched from now on. A batch is known to take about `typical_s` seconds; 0 when it is not known."""
        self._watched = [watched for watched in self._watched if watched.model != model]
        watched = _Watched(model, lane, typical_s, self._now)
        self._watched.append(watched)
        return watched

    def stuck(self) -> str:
        """Which batch is stuck, for people; empty while none is."""
        now = self._now()
        return next(filter(None, (watched.stuck(now, self._patience) for watched in self._watched)), "")


class _Watched:
    """A lane that notes when its batches begin and how long they take."""

    def __init__(self, model: ModelKey, lane: Batches, typical_s: float, now: Callable[[], float]) -> None:
        self.model = model
        self._lane = lane
        self._now = now
        self._took_s = deque([typical_s], maxlen=_REMEMBERED)
        self._began_s: dict[int, float] = {}  #: of the batches that run, by thread
        self._lock = threading.Lock()

    def classify(self, leases: Sequence[Lease], *, alone: bool = False) -> Outcomes:
        """What the lane says."""
        thread = threading.get_ident()
        with self._lock:
            self._began_s[thread] = self._now()
        try:
            return self._lane.classify(leases, alone=alone)
        finally:
            with self._lock:
                self._took_s.append(self._now() - self._began_s.pop(thread))

    def stuck(self, now: float, patience: Patience) -> str:
        """The oldest batch, if it is stuck."""
        with self._lock:
            age_s = now - min(self._began_s.values(), default=now)
            if age_s < patience.least_s:
                return ""
            limit_s = patience.limit_s(self._took_s)
        if age_s < limit_s:
            return ""
        return f"model {self.model}: a batch has been running for {age_s:.1f} s, which is more than {limit_s:.1f} s"
