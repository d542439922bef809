"""Around the queue: a share of what is answered is written down."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from typing import Protocol

from service.core.errors import ServiceError
from service.core.messages import Answer, ModelKey, Payload, Request
from service.core.ports import Depth, Submissions
from service.core.records import PredictionRecord
from service.security.gate import CALLER


class PredictionLog(Protocol):
    """Where records go."""

    def write(self, record: PredictionRecord, image: Payload) -> None:
        """Keep it soon, and the input with it if the record says so. Never waits: what is too much is dropped."""

    async def find(self, id: str) -> tuple[PredictionRecord, bytes]:
        """The newest record under a request's id, and its input, b"" unless kept. Raises `NoSuchPrediction`."""


class LoggedSubmissions:
    """`Submissions` of which `share` (0..1) is logged; inputs of more than `max_image_bytes` are not kept."""

    def __init__(
        self,
        inside: Submissions,
        log: PredictionLog,
        share: float,
        max_image_bytes: int,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._inside = inside
        self._log = log
        self._share = share
        self._max_image_bytes = max_image_bytes
        self._wall = wall

    def depth(self, model: ModelKey) -> Depth:
        """What the queue holds."""
        return self._inside.depth(model)

    async def submit(self, request: Request) -> Answer:
        """See `Submissions.submit`. What the caller withdrew is not logged."""
        if random.random() >= self._share:  # noqa: S311 - a sample, no secret
            return await self._inside.submit(request)
        try:
            answer = await self._inside.submit(request)
        except ServiceError as error:
            self._write(request, error=f"{error.code.value}: {error}")
            raise
        self._write(request, answer)
        return answer

    def _write(self, request: Request, answer: Answer | None = None, error: str = "") -> None:
        size = len(request.image)
        record = PredictionRecord(
            id=request.id or uuid.uuid4().hex,
            at_ms=int(self._wall() * 1000),
            caller=CALLER.get().name,
            model=request.model,
            options=request.options,
            answer=answer,
            error=error,
            size=size,
            kept=size <= self._max_image_bytes,
        )
        self._log.write(record, request.image)
