"""What workers tell front-ends about a model version that they serve."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from service.core.errors import InvalidInput
from service.core.ports import Engine
from service.core.spec import Spec
from service.core.tuning import Tuning


@dataclass(frozen=True, slots=True)
class Announcement:
    """One model version as one of its workers runs it. Unknown fields are ignored: newer workers may say more."""

    digest: str
    spec: Spec
    tuning: Tuning


_ADAPTER: TypeAdapter[Announcement] = TypeAdapter(Announcement)


def write(engine: Engine) -> bytes:
    """The announcement of a loaded engine."""
    return _ADAPTER.dump_json(Announcement(engine.digest, engine.spec, engine.tuning))


def read(text: bytes) -> Announcement:
    """Parse an announcement; raises `InvalidInput` when it is none."""
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        raise InvalidInput("announcement", "JSON of a spec, a digest and a tuning", error.errors()[0]["msg"]) from None
