"""`vitrine.v1.Predictions`: what was answered, put where it can be looked into."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from service.api.asker import who
from service.api.guard import Context, guarded
from service.core.errors import InvalidInput
from service.core.records import PredictionRecord
from service.core.use_cases import ModelCatalog
from service.predictions.logged import PredictionLog
from service.rpc.classifier import MAX_ID_CHARS
from service.rpc.pb.vitrine.v1 import predictions_pb2 as pb
from service.rpc.pb.vitrine.v1 import predictions_pb2_grpc
from service.rpc.predictions import from_record

_log = structlog.get_logger("vitrine.predictions")


class PredictionsServicer(predictions_pb2_grpc.PredictionsServicer):
    """Finds what was logged. `keep` takes a picture to where introspection finds it; None where there is none."""

    def __init__(self, log: PredictionLog, catalog: ModelCatalog, keep: Callable[[bytes], str] | None) -> None:
        self._found = log
        self._catalog = catalog
        self._keep = keep

    @guarded
    async def Get(self, request: pb.GetPredictionRequest, context: Context) -> pb.LoggedPrediction:
        """One logged request."""
        if not 0 < len(request.id) <= MAX_ID_CHARS:
            raise InvalidInput("id", f"1 to {MAX_ID_CHARS} characters", f"{len(request.id)} characters")
        record, image = await self._found.find(request.id)
        _log.info("prediction", who=who(context), request=record.id, of=record.caller)
        served = self._served(record)
        obstacle = self._obstacle(record, served)
        picture = await asyncio.to_thread(self._keep, image) if self._keep and not obstacle else ""
        return from_record(record, picture, served, obstacle)

    def _served(self, record: PredictionRecord) -> int:
        """The version that serves the file that answered: the same one if it still does."""
        if record.answer is None:
            return 0
        wanted = (record.model.name, record.answer.digest, "ready")
        ready = [s.key.version for s in self._catalog.list() if (s.key.name, s.digest, s.state) == wanted]
        return record.model.version if record.model.version in ready else max(ready, default=0)

    def _obstacle(self, record: PredictionRecord, served: int) -> str:
        if record.answer is None:
            return f"no model answered it: {record.error}"
        if not record.kept:
            return f"its input of {record.size} bytes was too large to be kept"
        if record.options.pixels:
            return "it was sent as pixels, which are looked into by asking for layers as outputs"
        if not served:
            return f"{record.model} is not served any more as the file {record.answer.digest}"
        return "" if self._keep else "this server does not look into models"
