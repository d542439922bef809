"""Facts that leave the core. Code states what happened; telemetry decides what it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from service.core.drift_window import LayerDrift
from service.core.errors import Code, Reason
from service.core.messages import ModelKey, Prediction, Timing
from service.core.routing import Routing


@dataclass(frozen=True, slots=True)
class RequestDone:
    """One request left the front-end. `code` is None when it succeeded; `took_s` from admission to answer.

    `version` is 0 when none was found; `timings` has one entry per picture answered, `best` the first prediction of
    each that has any.
    """

    model: str
    method: str
    code: Code | None
    took_s: float
    version: int = 0
    timings: tuple[Timing, ...] = ()
    best: tuple[Prediction, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchTaken:
    """A lane took `size` requests; `reason` says what bounded them, see `core.share`."""

    model: ModelKey
    size: int
    reason: str


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
    """A batch of `size` failed as a whole and is tried again in halves; `requests` are the ids of what was in it."""

    model: ModelKey
    size: int
    error: str
    requests: tuple[str, ...] = ()


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
class RoutingChanged:
    """Another routing of a model is in force; `revision` counts them."""

    model: str
    routing: Routing
    revision: int


@dataclass(frozen=True, slots=True)
class Compared:
    """What `shadow` made of a request that `model` answered.

    `outcome` is "agreed" or "disagreed" on the best class, "failed" for `reason`, or "skipped" since too many waited;
    `distance` is the largest difference of a score.
    """

    model: ModelKey
    shadow: ModelKey
    id: str
    outcome: Literal["agreed", "disagreed", "failed", "skipped"]
    distance: float = 0.0
    reason: str = ""


#: "hit" in this process, "shared" with others, "joined" a request for the same that was under way, or "miss".
CacheOutcome = Literal["hit", "shared", "joined", "miss"]


@dataclass(frozen=True, slots=True)
class CacheAsked:
    """A request was looked up in the response cache, which took `took_s` in this process."""

    model: ModelKey
    outcome: CacheOutcome
    took_s: float


@dataclass(frozen=True, slots=True)
class PredictionLogged:
    """A sampled request was written to the prediction log, or was not: too much waited, or it could not be kept."""

    model: str
    outcome: Literal["written", "dropped", "failed"]


@dataclass(frozen=True, slots=True)
class DriftSampled:
    """An answered picture was shown to the watched layers, or was not: too many waited, or it could not be."""

    model: ModelKey
    outcome: Literal["measured", "dropped", "failed"]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DriftMeasured:
    """How far the watched layers are from what they gave at export, over the last `images` pictures answered."""

    model: ModelKey
    images: int
    layers: Mapping[str, LayerDrift]


@dataclass(frozen=True, slots=True)
class WorkerStarted:
    """A worker's child process began to work; `restarts` children were there before it."""

    restarts: int


@dataclass(frozen=True, slots=True)
class Redelivered:
    """A request was leased again, since its worker died (`deaths` of them so far) or lost its lease."""

    model: ModelKey
    deaths: int


@dataclass(frozen=True, slots=True)
class Buried:
    """A request that killed one worker after the other became a dead letter."""

    model: ModelKey


@dataclass(frozen=True, slots=True)
class JobItemsDone:
    """Redis has the results of so many items of jobs."""

    model: ModelKey
    succeeded: int
    failed: int


@dataclass(frozen=True, slots=True)
class JobChanged:
    """A caller did something to a job: "opened", "sealed" or "cancelled" it."""

    state: str


@dataclass(frozen=True, slots=True)
class LookedIn:
    """A question about the inside of a model was answered, or not; `took_s` includes waiting for a thread."""

    code: Code | None
    took_s: float


Event = (
    RequestDone
    | BatchRan
    | BatchTaken
    | Rejected
    | Dropped
    | BatchBisected
    | ModelChanged
    | ProviderFellBack
    | WorkerStarted
    | RoutingChanged
    | Compared
    | CacheAsked
    | PredictionLogged
    | DriftSampled
    | DriftMeasured
    | Redelivered
    | Buried
    | JobItemsDone
    | JobChanged
    | LookedIn
)
Emit = Callable[[Event], None]
