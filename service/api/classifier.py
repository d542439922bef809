"""`vitrine.v1.Classifier`: one picture, many in one message, or a stream of them."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from google.rpc.status_pb2 import Status

from service.api.deadline import deadline_of
from service.api.guard import Context, guarded, outcome
from service.api.stream import Stream
from service.core.errors import InvalidInput, ServiceError
from service.core.events import Emit, RequestDone
from service.core.messages import Answer
from service.core.routing import unrouted
from service.core.use_cases import Choose, Classifying
from service.rpc.classifier import from_answer, response_fields, to_options
from service.rpc.pb.vitrine.v1 import classifier_pb2 as pb
from service.rpc.pb.vitrine.v1 import classifier_pb2_grpc


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one call may ask for at once."""

    max_batch_items: int = 256
    max_stream_in_flight: int = 64  #: requests of one stream that are read and unanswered


class ClassifierServicer(classifier_pb2_grpc.ClassifierServicer):
    """Takes requests off the wire and hands them to `inside`, each with the caller's deadline."""

    def __init__(self, inside: Classifying, emit: Emit, bounds: Bounds, choose: Choose = unrouted) -> None:
        self._inside = inside
        self._choose = choose
        self._emit = emit
        self._bounds = bounds
        prefix = uuid.uuid4().hex[:8]
        self._ids = (f"{prefix}-{number}" for number in itertools.count(1))
        self._streams: set[Stream] = set()
        self.in_flight = 0  #: pictures whose callers wait

    @guarded
    async def Classify(self, request: pb.ClassifyRequest, context: Context) -> pb.ClassifyResponse:
        """One picture, one answer."""
        return from_answer(await self._classify(request, deadline_of(context), "Classify"))

    @guarded
    async def ClassifyBatch(self, request: pb.ClassifyBatchRequest, context: Context) -> pb.ClassifyBatchResponse:
        """One result or error for each picture, in the order of the requests."""
        items, limit = request.requests, self._bounds.max_batch_items
        if len(items) > limit:
            raise InvalidInput("requests", f"at most {limit} items", len(items))
        deadline = deadline_of(context)
        results = await asyncio.gather(*(self._result(item, deadline, "ClassifyBatch") for item in items))
        return pb.ClassifyBatchResponse(results=results)

    @guarded
    async def ClassifyStream(self, _requests: AsyncIterator[pb.ClassifyRequest], context: Context) -> None:
        """Results in the order they are ready; see `Stream` for the flow of it."""
        deadline = deadline_of(context)

        async def answer(request: pb.ClassifyRequest) -> pb.ClassifyResult:
            return pb.ClassifyResult(**await self._result(request, deadline, "ClassifyStream"))

        stream = Stream(context, answer, self._bounds.max_stream_in_flight)
        self._streams.add(stream)
        try:
            await stream.run()
        finally:
            self._streams.discard(stream)

    def stop_streams(self) -> None:
        """End every stream once what it has read is answered."""
        for stream in self._streams:
            stream.stop()

    async def _result(self, request: pb.ClassifyRequest, deadline: float, method: str) -> dict[str, Any]:
        """The fields of a `ClassifyResult`, so that the message that holds it is built at once."""
        answer = await outcome(self._classify(request, deadline, method))
        if isinstance(answer, Status):
            return {"id": request.id, "error": answer}
        return {"id": answer.id, "response": response_fields(answer)}

    async def _classify(self, request: pb.ClassifyRequest, deadline: float, method: str) -> Answer:
        try:
            options = to_options(request)
            key = request.route_key or request.id
            version = self._choose(request.model, request.version, request.label, key)
        except ServiceError as error:
            self._emit(RequestDone("", method, error.code, 0.0))
            raise
        self.in_flight += 1
        try:
            return await self._inside.classify(
                id=request.id or next(self._ids),
                model=request.model,
                version=version,
                image=request.image,
                options=options,
                deadline=deadline,
                method=method,
            )
        finally:
            self.in_flight -= 1
