"""What travels: a request on its way in, an answer on its way out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from service.core.errors import ServiceError

NEVER = math.inf

#: Bytes of a picture; a view where they lie in a larger message.
Payload = bytes | memoryview


class Priority(IntEnum):
    """Who goes first; less urgent work is passed over, never starved."""

    HIGH = 0
    NORMAL = 1
    BULK = 2


class ModelKey(NamedTuple):
    """One version of one model. A tuple, since it is hashed many times on the way of each request."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller wants to see. `min_score` in 0..1 drops predictions below it; `logits` adds the raw outputs.

    With `pixels`, what was sent is the network's own input, uint8 [height, width, channels] in C order, and no file.
    """

    top_k: int = 5
    min_score: float = 0.0
    logits: bool = False
    pixels: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One image to classify by one model version.

    `image` is an encoded picture (JPEG, PNG, ...), or pixels if the options say so. `deadline` is in seconds of this
    process's monotonic clock, `NEVER` without one; a queue that leaves the process carries the remaining time instead.
    `trace` is the caller's span as W3C Trace Context writes it (traceparent), empty where nobody traces.
    """

    id: str
    model: ModelKey
    image: Payload
    options: Options = field(default_factory=Options)
    deadline: float = NEVER
    priority: Priority = Priority.NORMAL
    trace: str = ""

    def late(self, now: float) -> bool:
        """Whether the deadline has passed at `now`."""
        return now >= self.deadline


@dataclass(frozen=True, slots=True)
class Prediction:
    """One class with its score in 0..1 (softmax probability, or sigmoid per label)."""

    label: str
    index: int
    score: float


@dataclass(frozen=True, slots=True)
class Timing:
    """Where one answer's time went, in microseconds, and in which company it was computed.

    `decode_us` is this item's own; `compute_us` is the `session.run` that it shared with its batch. `ended_ns` is when
    its lane was done with it, in nanoseconds since 1970; 0 unless the request is traced.
    """

    queue_us: int
    decode_us: int
    compute_us: int
    batch_size: int
    provider: str
    ended_ns: int = 0

    @property
    def took_us(self) -> int:
        """All stages."""
        return self.queue_us + self.decode_us + self.compute_us


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one request that succeeded. `logits` is empty unless asked for."""

    id: str
    model: ModelKey
    digest: str
    predictions: tuple[Prediction, ...]
    logits: tuple[float, ...]
    timing: Timing


Outcome = Answer | ServiceError


class Lease:
    """A request held by a worker. The queue sets `gone` when its caller has left: then nobody needs the answer.

    The one mutable message: `gone` is written by the queue and read by the lane's thread (a plain flag), `begun_s` the
    other way round: when the batch that it leads was begun, on the monotonic clock; 0 before.
    """

    __slots__ = ("begun_s", "gone", "request", "token", "waited_s")

    def __init__(self, request: Request, waited_s: float, token: object = None) -> None:
        self.request = request
        self.waited_s = waited_s
        self.token = token
        self.gone = False
        self.begun_s = 0.0
