"""What is remembered of one answered request."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from service.core.errors import InvalidInput
from service.core.messages import Answer, ModelKey, Options


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """One request and what became of it. `error` is empty when it was answered, and else says why it was not.

    `at_ms` is in milliseconds since 1970. `size` is that of the input in bytes; `kept` says whether it can be replayed.
    """

    id: str
    at_ms: int
    caller: str
    model: ModelKey
    options: Options
    answer: Answer | None
    error: str
    size: int
    kept: bool


_ADAPTER: TypeAdapter[PredictionRecord] = TypeAdapter(PredictionRecord)


def to_json(record: PredictionRecord) -> bytes:
    """The record as one line of JSON, without its end."""
    return _ADAPTER.dump_json(record)


def from_json(line: bytes) -> PredictionRecord:
    """The inverse of `to_json`; raises `InvalidInput`."""
    try:
        return _ADAPTER.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidInput("record", first["msg"], first["loc"]) from None
