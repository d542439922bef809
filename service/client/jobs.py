"""The part of the async client for durable jobs.

async with AsyncClient("127.0.0.1:50051") as client:
    job = await client.jobs.submit(Path("photos").glob("*.jpg"), model="photos")
    async for event in client.jobs.watch(job.id):
        print(event.job.finished, "of", event.job.items)
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import grpc

from service.client.caller import MAX_MESSAGE_BYTES, read
from service.client.each import each
from service.client.failures import from_status
from service.core.errors import InvalidInput, NotReady, Overloaded, Reason, Refused, ServiceError, TooLate
from service.core.jobs import Item, ItemResult, Job, Order
from service.rpc.jobs import from_item, from_order, to_job, to_result
from service.rpc.pb.vitrine.v1 import jobs_pb2 as pb
from service.rpc.pb.vitrine.v1.jobs_pb2_grpc import JobsStub

Replied = TypeVar("Replied")
#: What becomes an item: an `Item`, a file to read, or a URI for a worker to fetch.
Source = Item | Path | str
#: Bounds of a chunk: so much is sent again when a connection breaks.
CHUNK_ITEMS, CHUNK_BYTES = 256, 2**20
#: A file must fit into a message, with its name.
_MAX_FILE_BYTES = MAX_MESSAGE_BYTES - 2**16


@dataclass(frozen=True, slots=True)
class JobEvent:
    """How a job stands, and the results since the event before. Watching on from `cursor` misses nothing."""

    cursor: str
    job: Job
    results: Sequence[ItemResult]


class Call(Protocol):
    """Calls what it is given with the seconds that are left, and tries again where that is worth it."""

    async def __call__(self, call: Callable[[float], Awaitable[Replied]]) -> Replied:
        """What `call` returns."""


class Stream(Protocol):
    """Likewise, for answers that are streams."""

    def __call__(
        self, call: Callable[[float], grpc.aio.UnaryStreamCall[Any, Replied]]
    ) -> AsyncGenerator[Replied, None]:
        """The messages of the stream that `call` opens."""


class AsyncJobs:
    """Durable jobs of one server.

    What is submitted or watched goes on when the server is away for up to `patience_s` seconds.
    """

    def __init__(self, channel: grpc.aio.Channel, call: Call, stream: Stream, patience_s: float = 60.0) -> None:
        self._stub = JobsStub(channel)
        self._call = call
        self._stream = stream
        self._patience_s = patience_s

    async def open(self, order: Order) -> Job:
        """Begin a job; with an idempotency key that was used before, the job of that time."""
        # With a key of its own where the caller has none, so that trying again does not begin two.
        request = from_order(replace(order, idempotency_key=order.idempotency_key or uuid.uuid4().hex))
        return to_job(await self._call(lambda left_s: self._stub.Open(request, timeout=left_s)))

    async def append(self, id: str, chunk: int, items: Sequence[Item]) -> int:
        """Hand in chunk number `chunk`, once or again; the number of the next one.

        Raises `Overloaded` with reason BYTES while there is no room.
        """
        request = pb.AppendJobRequest(id=id, chunk=chunk, items=[from_item(item) for item in items])
        reply = await self._call(lambda left_s: self._stub.Append(request, timeout=left_s))
        return int(reply.next_chunk)

    async def seal(self, id: str, chunks: int) -> Job:
        """Say that there are no more than these chunks."""
        request = pb.SealJobRequest(id=id, chunks=chunks)
        return to_job(await self._call(lambda left_s: self._stub.Seal(request, timeout=left_s)))

    async def get(self, id: str) -> Job:
        """How it stands. Raises `NoSuchJob`."""
        request = pb.GetJobRequest(id=id)
        return to_job(await self._call(lambda left_s: self._stub.Get(request, timeout=left_s)))

    async def cancel(self, id: str) -> Job:
        """Compute no more of it."""
        request = pb.CancelJobRequest(id=id)
        return to_job(await self._call(lambda left_s: self._stub.Cancel(request, timeout=left_s)))

    async def list(self) -> AsyncIterator[Job]:
        """Every job that is kept, newest first."""
        token = ""
        while True:
            request = pb.ListJobsRequest(page_token=token)
            page = await self._call(partial(self._page, request))
            for job in page.jobs:
                yield to_job(job)
            if not (token := page.next_page_token):
                return

    async def results(self, id: str, cursor: str = "") -> AsyncGenerator[ItemResult, None]:
        """What is there by now, after `cursor`, in the order it came."""
        request = pb.JobResultsRequest(id=id, cursor=cursor)
        async with aclosing(self._stream(lambda _: self._stub.Results(request))) as messages:
            async for message in messages:
                yield _result(message)

    async def watch(self, id: str, cursor: str = "", *, results: bool = True) -> AsyncGenerator[JobEvent, None]:
        """How it goes on until it has ended, with the results after `cursor`; another connection goes on from there."""
        lost_at = time.monotonic()
        while True:
            request = pb.WatchJobRequest(id=id, cursor=cursor, results=results)
            try:
                async with aclosing(self._events(request)) as events:
                    async for event in events:
                        cursor, lost_at = event.cursor, time.monotonic()
                        yield event
            except (NotReady, TooLate):
                if time.monotonic() - lost_at > self._patience_s:
                    raise
            else:
                return

    async def _events(self, request: pb.WatchJobRequest) -> AsyncGenerator[JobEvent, None]:
        # No deadline: a job takes as long as it takes.
        async with aclosing(self._stream(lambda _: self._stub.Watch(request))) as messages:
            async for message in messages:
                results = [_result(result) for result in message.results]
                yield JobEvent(message.cursor, to_job(message.job), results)

    async def _page(self, request: pb.ListJobsRequest, left_s: float) -> pb.ListJobsResponse:
        page: pb.ListJobsResponse = await self._stub.List(request, timeout=left_s)
        return page

    async def submit(
        self,
        sources: Iterable[Source] | AsyncIterable[Source],
        order: Order,
        *,
        resume: str = "",
        sent: Callable[[int], None] = lambda _: None,
        unreadable: Callable[[Source, Exception], None] | None = None,
    ) -> Job:
        """Open a job, or go on with the one called `resume`; hand everything in, and seal it.

        The same sources in the same order are expected of who resumes: those that were accepted are not read again.
        `sent` is told how many items have been accepted. A file that cannot be read raises `OSError` or `InvalidInput`,
        or is left out and told to `unreadable`.
        """
        job = await (self.get(resume) if resume else self.open(order))
        sent(job.items)
        if job.state.ended:
            return job
        chunk, count = job.next_chunk, job.items
        async with aclosing(_chunks(_after(job, sources), unreadable)) as chunks:
            async for items in chunks:
                await self._patiently(partial(self.append, job.id, chunk, items))
                chunk, count = chunk + 1, count + len(items)
                sent(count)
        return await self._patiently(partial(self.seal, job.id, chunk))

    async def _patiently(self, call: Callable[[], Awaitable[Replied]]) -> Replied:
        """Wait for room for ever, and for a server that went away for a while."""
        failing_since = 0.0
        while True:
            try:
                return await call()
            except Overloaded as error:
                if error.reason is not Reason.BYTES:
                    raise
                failing_since = 0.0
            except (NotReady, TooLate):
                failing_since = failing_since or time.monotonic()
                if time.monotonic() - failing_since > self._patience_s:
                    raise


def _result(message: pb.JobResult) -> ItemResult:
    error: ServiceError | None = from_status(message.error) if message.HasField("error") else None
    return to_result(message, error)


def _name(source: Source) -> str:
    return source.label if isinstance(source, Item) else str(source)


async def _after(job: Job, sources: Iterable[Source] | AsyncIterable[Source]) -> AsyncGenerator[Source, None]:
    """The sources after those that the job has. Raises `Refused` when its last item is not among them."""
    position, found = 0, not job.items
    async for source in each(sources):
        position += 1
        if found:
            yield source
        # Sources that could not be read were left out: the last one is here or further on.
        elif position >= job.items and _name(source) == job.last_item:
            found = True
    if not found:
        raise Refused(f"job {job.id}: its last item {job.last_item!r} is not where it was; these are other sources")


async def _chunks(
    sources: AsyncGenerator[Source, None], unreadable: Callable[[Source, Exception], None] | None
) -> AsyncGenerator[list[Item], None]:
    items: list[Item] = []
    size = 0
    async with aclosing(sources):
        async for source in sources:
            try:
                item = await _item(source)
            except (OSError, InvalidInput) as error:
                if unreadable is None:
                    raise
                unreadable(source, error)
                continue
            if items and size + item.size > CHUNK_BYTES:
                yield items
                items, size = [], 0
            items.append(item)
            size += item.size
            if len(items) == CHUNK_ITEMS:
                yield items
                items, size = [], 0
    if items:
        yield items


async def _item(source: Source) -> Item:
    if isinstance(source, Item):
        return source
    if isinstance(source, str) and "://" in source:
        return Item(uri=source)
    return Item(name=str(source), image=await asyncio.to_thread(read, source, _MAX_FILE_BYTES))
