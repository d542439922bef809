"""The async client.

async with AsyncClient("127.0.0.1:50051") as client:
    async for result in client.classify_many(Path("photos").glob("*.jpg"), model="photos"):
        print(result.image, result.answer.predictions[0].label if result.answer else result.error)
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from functools import cached_property

from service.client.each import each
from service.client.examination import AsyncExamination
from service.client.jobs import AsyncJobs
from service.client.values import (
    Image,
    LoggedPrediction,
    ModelInfo,
    Result,
    RoutingInfo,
    to_info,
    to_logged,
    to_routing_info,
)
from service.core.errors import ServiceError
from service.core.messages import Answer, Options
from service.core.routing import Routing
from service.rpc.classifier import from_options, to_answer
from service.rpc.pb.vitrine.v1 import models_pb2, predictions_pb2
from service.rpc.pb.vitrine.v1.classifier_pb2_grpc import ClassifierStub
from service.rpc.pb.vitrine.v1.models_pb2_grpc import ModelsStub
from service.rpc.pb.vitrine.v1.predictions_pb2_grpc import PredictionsStub
from service.rpc.routing import from_routing

_DEFAULTS = Options()


class AsyncClient(AsyncExamination):
    """Talks to one Vitrine server; to be made where the event loop runs.

    Every call has a deadline of `timeout_s` seconds, retries included, and raises `ServiceError`: what the server
    raised, `TooLate`, `NotReady` when it cannot be reached, or `ClientError`.
    """

    @cached_property
    def _classifier(self) -> ClassifierStub:
        return ClassifierStub(self._channel)

    @cached_property
    def _models(self) -> ModelsStub:
        return ModelsStub(self._channel)

    @cached_property
    def _predictions(self) -> PredictionsStub:
        return PredictionsStub(self._channel)

    @cached_property
    def jobs(self) -> AsyncJobs:
        """Durable jobs of this server."""
        return AsyncJobs(self._channel, self._call, self._stream)

    @cached_property
    def _feeders(self) -> set[asyncio.Task[None]]:
        return set()

    async def close(self) -> None:
        """Close the connection; calls in flight are cancelled, also those of a `classify_many` left half-way."""
        await _cancel(self._feeders)
        await super().close()

    async def classify(
        self,
        image: Image,
        *,
        model: str,
        version: int = 0,
        options: Options = _DEFAULTS,
        id: str = "",
        timeout_s: float | None = None,
        label: str = "",
        route_key: str = "",
    ) -> Answer:
        """Classify one picture, given as bytes or as a file. Raises `OSError` for the file.

        Version 0 is the latest, or what the model's routing says: `label` names one of its versions, and requests with
        the same `route_key` get the same one of a split.
        """
        request = from_options(
            options,
            id=id or uuid.uuid4().hex,
            model=model,
            version=version,
            image=await self._bytes(image),
            label=label,
            route_key=route_key,
        )
        reply = await self._call(lambda left_s: self._classifier.Classify(request, timeout=left_s), timeout_s)
        return to_answer(reply)

    async def classify_many(
        self,
        images: Iterable[Image] | AsyncIterable[Image],
        *,
        model: str,
        version: int = 0,
        options: Options = _DEFAULTS,
        concurrency: int = 16,
        label: str = "",
        route_key: str = "",
    ) -> AsyncGenerator[Result, None]:
        """Classify pictures as they are produced, at most `concurrency` at once; results come as they are ready.

        One picture's failure is its result's `error`. An iterable that blocks should be an async one. With a
        `route_key` all pictures get the same version of a split.
        """
        room = asyncio.Semaphore(concurrency)
        results: asyncio.Queue[Result | None] = asyncio.Queue()

        async def classify(image: Image) -> None:
            try:
                answer = await self.classify(
                    image, model=model, version=version, options=options, label=label, route_key=route_key
                )
                results.put_nowait(Result(image, answer=answer))
            except (ServiceError, OSError) as error:
                results.put_nowait(Result(image, error=error))

        async def feed() -> None:
            try:
                async with asyncio.TaskGroup() as calls:
                    async for image in each(images):
                        await room.acquire()
                        calls.create_task(classify(image))
            except BaseExceptionGroup as group:
                raise group.exceptions[0] from None  # what the iterable raised: its owner knows it by its own name
            finally:
                results.put_nowait(None)

        feeder = asyncio.create_task(feed())
        self._feeders.add(feeder)
        try:
            while (result := await results.get()) is not None:
                yield result
                room.release()
            await feeder
        finally:
            self._feeders.discard(feeder)
            await _cancel({feeder})

    async def models(self) -> list[ModelInfo]:
        """Every version of every model that the server knows."""
        reply = await self._call(lambda left_s: self._models.List(models_pb2.ListModelsRequest(), timeout=left_s))
        return [to_info(model) for model in reply.models]

    async def model(self, name: str, version: int = 0) -> ModelInfo:
        """One version, 0 for the latest; raises `NoSuchModel`."""
        request = models_pb2.GetModelRequest(model=name, version=version)
        return to_info(await self._call(lambda left_s: self._models.Get(request, timeout=left_s)))

    async def load(self, name: str, version: int = 0, *, timeout_s: float = 120.0) -> ModelInfo:
        """Have the server load a version of its store, and wait until it is ready or has failed."""
        request = models_pb2.LoadModelRequest(model=name, version=version)
        return to_info(await self._call(lambda left_s: self._models.Load(request, timeout=left_s), timeout_s))

    async def unload(self, name: str, version: int = 0, *, timeout_s: float = 120.0) -> None:
        """Have the server unload a version (0: every one) when what is in flight is answered."""
        request = models_pb2.UnloadModelRequest(model=name, version=version)
        await self._call(lambda left_s: self._models.Unload(request, timeout=left_s), timeout_s)

    async def prediction(self, id: str) -> LoggedPrediction:
        """The newest logged request under this id, its picture ready to be looked into. Raises `ServiceError`."""
        request = predictions_pb2.GetPredictionRequest(id=id)
        return to_logged(await self._call(lambda left_s: self._predictions.Get(request, timeout=left_s)))

    async def routing(self, model: str) -> RoutingInfo:
        """Which version callers of a model get who name none, or a label."""
        request = models_pb2.GetRoutingRequest(model=model)
        return to_routing_info(await self._call(lambda left_s: self._models.GetRouting(request, timeout=left_s)))

    async def set_routing(self, model: str, routing: Routing, revision: int = 0) -> RoutingInfo:
        """Put another routing in force. Raises `Refused` when `revision` (0: any) is not in force any more."""
        request = models_pb2.SetRoutingRequest(routing=from_routing(model, routing, revision))
        return to_routing_info(await self._call(lambda left_s: self._models.SetRouting(request, timeout=left_s)))

    async def roll_back_routing(self, model: str, revision: int = 0) -> RoutingInfo:
        """Put the routing before in force again. `revision` is the one to be undone, 0 for any."""
        request = models_pb2.RollBackRoutingRequest(model=model, revision=revision)
        return to_routing_info(await self._call(lambda left_s: self._models.RollBackRouting(request, timeout=left_s)))


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    """End tasks whose outcome nobody wants any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
