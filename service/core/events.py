"""Facts that leave the core. Code states what happened; telemetry decides what it means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.core.errors import Code, Reason
from service.core.messages import ModelKey, Timing


@dataclass(frozen=True, slots=True)
class RequestDone:
    """One request left the front-end. `code` is None when it succeeded; `took_s` from admission to answer.

    `version` is 0 when none was found; `timings` has one entry per picture answered.
    """

    model: str
    method: str
    code: Code | None
    took_s: float
    version: int = 0
    timings: tuple[Timing, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchRan:
    """One batch went through the engine. Item lists have one entry per item, in seconds."""

    model: ModelKey
    provider: str
    size: int
    queue_s: tuple[float, ...]
    decode_s: tuple[float, ...]
    compute_s: float


@dataclass(frozen=True, slots=True)
class Rejected:
    """Admission shed one request."""

    model: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Dropped:
    """Queued work that was not computed, since its deadline had passed or its caller had left.

    `stage` is "queue", "lease" or "compute" (right before the session ran).
    """

    model: ModelKey
    stage: str
    expired: bool


@dataclass(frozen=True, slots=True)
class BatchBisected:
    """A batch of `size` failed as a whole and is tried again in halves."""

    model: ModelKey
    size: int
    error: str


@dataclass(frozen=True, slots=True)
class ModelChanged:
    """A model version entered `state` ("loading", "ready", "failed", "unloading", "unloaded")."""

    model: ModelKey
    state: str
    took_s: float = 0.0
    reason: str = ""
    provider: str = ""


@dataclass(frozen=True, slots=True)
class ProviderFellBack:
    """With `auto`, a preferred provider could not be used and the next one is."""

    model: ModelKey
    wanted: str
    used: str
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerStarted:
    """A worker's child process began to work; `restarts` children were there before it."""

    restarts: int


Event = RequestDone | BatchRan | Rejected | Dropped | BatchBisected | ModelChanged | ProviderFellBack | WorkerStarted
Emit = Callable[[Event], None]
