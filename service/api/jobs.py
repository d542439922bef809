"""`vitrine.v1.Jobs`: durable sets of pictures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from service.api.guard import Context, guarded
from service.core.errors import NotReady
from service.core.events import Emit, JobChanged
from service.core.use_cases import Jobs
from service.rpc.jobs import from_job, from_result, page_size, to_item, to_order
from service.rpc.pb.vitrine.v1 import jobs_pb2 as pb
from service.rpc.pb.vitrine.v1 import jobs_pb2_grpc

Found = TypeVar("Found")


class JobsServicer(jobs_pb2_grpc.JobsServicer):
    """Jobs on the wire; `inside()` keeps them, or raises `Refused` where nobody does."""

    def __init__(self, inside: Callable[[], Jobs], emit: Emit) -> None:
        self._inside = inside
        self._emit = emit
        self._closed = asyncio.Event()

    def close(self) -> None:
        """End every stream: whoever reads it goes on elsewhere, from where it was."""
        self._closed.set()

    @guarded
    async def Open(self, request: pb.OpenJobRequest, _context: Context) -> pb.Job:
        """Begin a job."""
        job = await self._inside().open(to_order(request))
        self._emit(JobChanged("opened"))
        return from_job(job)

    @guarded
    async def Append(self, request: pb.AppendJobRequest, _context: Context) -> pb.AppendJobResponse:
        """Take a chunk."""
        items = [to_item(item) for item in request.items]
        next_chunk, count = await self._inside().append(request.id, request.chunk, items)
        return pb.AppendJobResponse(next_chunk=next_chunk, items=count)

    @guarded
    async def Seal(self, request: pb.SealJobRequest, _context: Context) -> pb.Job:
        """Take no more chunks."""
        job = await self._inside().seal(request.id, request.chunks)
        self._emit(JobChanged("sealed"))
        return from_job(job)

    @guarded
    async def Get(self, request: pb.GetJobRequest, _context: Context) -> pb.Job:
        """How it stands."""
        return from_job(await self._inside().get(request.id))

    @guarded
    async def List(self, request: pb.ListJobsRequest, _context: Context) -> pb.ListJobsResponse:
        """One page of jobs."""
        size = page_size(request)
        jobs = await self._inside().list(size, request.page_token)
        return pb.ListJobsResponse(
            jobs=[from_job(job) for job in jobs], next_page_token=jobs[-1].id if len(jobs) == size else ""
        )

    @guarded
    async def Cancel(self, request: pb.CancelJobRequest, _context: Context) -> pb.Job:
        """Compute no more of it."""
        job = await self._inside().cancel(request.id)
        self._emit(JobChanged("cancelled"))
        return from_job(job)

    @guarded
    async def Watch(self, request: pb.WatchJobRequest, context: Context) -> None:
        """Progress until it has ended."""
        cursor = request.cursor
        async for job, results in self._until_closed(self._inside().watch(request.id, cursor, results=request.results)):
            cursor = results[-1].cursor if results else cursor
            found = [from_result(result) for result in results]
            await context.write(pb.JobEvent(cursor=cursor, job=from_job(job), results=found))

    @guarded
    async def Results(self, request: pb.JobResultsRequest, context: Context) -> None:
        """What is there by now."""
        async for result in self._until_closed(self._inside().results(request.id, request.cursor)):
            await context.write(from_result(result))

    async def _until_closed(self, found: AsyncIterator[Found]) -> AsyncIterator[Found]:
        """What `found` gives until the server shuts down, which is told as `NotReady`."""
        closed = asyncio.create_task(self._closed.wait())
        try:
            while True:
                step = asyncio.ensure_future(anext(found, None))
                await asyncio.wait((step, closed), return_when=asyncio.FIRST_COMPLETED)
                if not step.done():
                    step.cancel()
                    await asyncio.wait([step])
                    raise NotReady("the server is shutting down; go on from the last cursor, here or elsewhere")
                if (item := step.result()) is None:
                    return
                yield item
        finally:
            closed.cancel()
