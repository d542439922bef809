"""What the SDK hands out beside `Answer`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from service.core.errors import ServiceError
from service.core.messages import Answer
from service.core.routing import Routing
from service.core.status import State
from service.core.tuning import Tuning
from service.rpc.classifier import to_answer
from service.rpc.models import STATES, to_tuning
from service.rpc.pb.vitrine.v1 import models_pb2 as pb
from service.rpc.pb.vitrine.v1 import predictions_pb2
from service.rpc.routing import to_routing

#: A picture: its encoded bytes, or a file that holds them.
Image = bytes | str | Path

_STATES = {number: state for state, number in STATES.items()}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one of many pictures: `answer`, or the `error` why there is none. `image` is what was given."""

    image: Image
    answer: Answer | None = None
    error: ServiceError | OSError | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One version of one model, as the server tells it. `shape` is (height, width, channels), None until it is read."""

    name: str
    version: int
    state: State
    latest: bool
    reason: str
    digest: str
    shape: tuple[int, int, int] | None
    labels: tuple[str, ...]
    task: str
    provider: str
    tuning: Tuning | None
    load_s: float
    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class RoutingInfo:
    """Which version callers of a model get; `former` is how many routings can be gone back to."""

    model: str
    routing: Routing
    revision: int
    former: int


def to_routing_info(message: pb.Routing) -> RoutingInfo:
    """The SDK's view of a routing on the wire."""
    return RoutingInfo(message.model, to_routing(message), message.revision, message.former)


@dataclass(frozen=True, slots=True)
class LoggedPrediction:
    """A request that was answered before; `error` says why it was not. `picture_id` is what introspection calls it.

    `served_version` serves the same file by now, 0 for none; `obstacle` says why it cannot be replayed.
    """

    id: str
    at_ms: int  #: milliseconds since 1970
    caller: str
    model: str
    version: int
    answer: Answer | None
    error: str
    size_bytes: int
    picture_id: str
    served_version: int
    obstacle: str


def to_logged(message: predictions_pb2.LoggedPrediction) -> LoggedPrediction:
    """The SDK's view of a logged request on the wire."""
    return LoggedPrediction(
        id=message.id,
        at_ms=message.at_ms,
        caller=message.caller,
        model=message.model,
        version=message.version,
        answer=to_answer(message.answer) if message.HasField("answer") else None,
        error=message.error,
        size_bytes=message.size_bytes,
        picture_id=message.picture_id,
        served_version=message.served_version,
        obstacle=message.obstacle,
    )


def to_info(model: pb.Model) -> ModelInfo:
    """The SDK's view of a model on the wire."""
    size = model.input
    return ModelInfo(
        name=model.name,
        version=model.version,
        state=_STATES[model.state],
        latest=model.latest,
        reason=model.reason,
        digest=model.digest,
        shape=(size.height, size.width, size.channels) if model.HasField("input") else None,
        labels=tuple(model.labels),
        task=model.task,
        provider=model.provider,
        tuning=to_tuning(model.tuning) if model.HasField("tuning") else None,
        load_s=model.load_seconds,
        facts=dict(model.facts),
    )
