"""Everything that a server is asked in its life, again and again: good, bad, and withdrawn."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import httpx

from service.client import Answer, AsyncClient, Order
from service.core.errors import BadImage, NoSuchModel
from service.rpc.open_inference import pb as oip
from service.rpc.pb.vitrine.v1 import classifier_pb2 as pb
from service.rpc.pb.vitrine.v1.classifier_pb2_grpc import ClassifierStub

PICTURES = sorted((Path(__file__).parents[2] / "model" / "pictures" / "digits").glob("*.png"))
#: Between two questions of one kind: a soak looks for what is left behind, not for speed.
PAUSE_S = 0.02
STREAMED, SUBMITTED = 20, 10


class Unexpected(Exception):
    """The server did not do as it should."""


@dataclass
class Traffic:
    """One caller of each kind; `done` counts what went as it should, `unexpected` says what did not."""

    client: AsyncClient
    channel: grpc.aio.Channel
    http: httpx.AsyncClient
    done: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)

    @property
    def kinds(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What is asked, by name."""
        return {
            "classify": self.classify,
            "stream": self.stream,
            "open inference, gRPC": self.open_inference,
            "open inference, HTTP": self.open_inference_http,
            "feature maps": self.features,
            "job": self.job,
            "bad picture": self.bad_picture,
            "no such model": self.no_such_model,
            "bad JSON": self.bad_json,
            "withdrawn": self.withdrawn,
            "reload": self.reload,
            "metrics": self.metrics,
        }

    async def once(self) -> None:
        """One question of each kind, one after the other."""
        for name, ask in self.kinds.items():
            await self._ask(name, ask)

    async def run(self, stop: asyncio.Event) -> None:
        """All kinds side by side until `stop` is set."""
        async with asyncio.TaskGroup() as callers:
            for name, ask in self.kinds.items():
                callers.create_task(self._repeat(name, ask, stop))

    async def _repeat(self, name: str, ask: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._ask(name, ask)
            await asyncio.sleep(PAUSE_S)

    async def _ask(self, name: str, ask: Callable[[], Awaitable[None]]) -> None:
        try:
            await ask()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what the soak is for
            self.unexpected.append(f"{name}: {type(error).__name__}: {error}")
        else:
            self.done[name] += 1

    def picture(self) -> bytes:
        """Another one each time."""
        return PICTURES[self.done.total() % len(PICTURES)].read_bytes()

    async def classify(self) -> None:
        check(len((await self.client.classify(self.picture(), model="digits")).predictions) == 5, "five predictions")

    async def stream(self) -> None:
        async def requests() -> AsyncIterator[pb.ClassifyRequest]:
            for number in range(STREAMED):
                yield pb.ClassifyRequest(id=str(number), model="digits", image=self.picture())

        results = [result async for result in ClassifierStub(self.channel).ClassifyStream(requests(), timeout=60)]
        answered = {result.id for result in results if result.HasField("response")}
        check(len(answered) == STREAMED, "every picture of the stream answered")

    async def open_inference(self) -> None:
        tensor = oip.ModelInferRequest.InferInputTensor(name="image", datatype="UINT8", shape=[1, 28, 28, 1])
        request = oip.ModelInferRequest(model_name="digits", inputs=[tensor], raw_input_contents=[bytes(784)])
        ask = self.channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=oip.ModelInferRequest.SerializeToString,
            response_deserializer=oip.ModelInferResponse.FromString,
        )
        reply = await ask(request, timeout=60)
        check([output.name for output in reply.outputs] == ["logits", "scores"], "both outputs")

    async def open_inference_http(self) -> None:
        inputs = [{"name": "image", "datatype": "UINT8", "shape": [1, 28, 28, 1], "data": [0] * 784}]
        reply = await self.http.post("/v2/models/digits/infer", json={"inputs": inputs})
        check(reply.is_success, reply.text)

    async def features(self) -> None:
        maps = await self.client.features("*relu*", self.picture(), model="digits")
        check(len(maps) > 0, "feature maps")

    async def job(self) -> None:
        job = await self.client.jobs.submit(PICTURES[:SUBMITTED], Order("digits", ttl_s=60))
        results = [result async for event in self.client.jobs.watch(job.id) for result in event.results]
        answered = [result for result in results if isinstance(result.outcome, Answer)]
        check(len(answered) == SUBMITTED, "every item of the job answered")

    async def bad_picture(self) -> None:
        damaged = self.picture()[:60]
        try:
            await self.client.classify(damaged, model="digits")
        except BadImage:
            return
        raise Unexpected("a damaged picture was classified")

    async def no_such_model(self) -> None:
        try:
            await self.client.classify(self.picture(), model="../digits")
        except NoSuchModel:
            return
        raise Unexpected("a model that is not there answered")

    async def bad_json(self) -> None:
        reply = await self.http.post("/v2/models/digits/infer", content=b'{"inputs":[' * 2000)
        check(reply.status_code == httpx.codes.BAD_REQUEST, reply.text)

    async def withdrawn(self) -> None:
        asked = asyncio.create_task(self.client.classify(self.picture(), model="digits"))
        await asyncio.sleep(0)
        asked.cancel()
        check((await asyncio.wait((asked,)))[0] == {asked}, "the end of a withdrawn call")

    async def reload(self) -> None:
        await self.client.unload("guide")
        check((await self.client.load("guide")).state == "ready", "guide ready again")

    async def metrics(self) -> None:
        for path in ("/metrics", "/readyz", "/v1/models"):
            check((await self.http.get(path)).is_success, path)


def check(holds: object, what: str) -> None:
    """Raise `Unexpected` unless it holds."""
    if not holds:
        raise Unexpected(what)
