"""Logged predictions on the wire."""

from __future__ import annotations

from service.core.records import PredictionRecord
from service.rpc.classifier import from_answer
from service.rpc.pb.vitrine.v1 import predictions_pb2 as pb


def from_record(record: PredictionRecord, picture_id: str, served_version: int, obstacle: str) -> pb.LoggedPrediction:
    """What `Predictions.Get` tells."""
    return pb.LoggedPrediction(
        id=record.id,
        at_ms=record.at_ms,
        caller=record.caller,
        model=record.model.name,
        version=record.model.version,
        answer=from_answer(record.answer) if record.answer else None,
        error=record.error,
        size_bytes=record.size,
        picture_id=picture_id,
        served_version=served_version,
        obstacle=obstacle,
    )
