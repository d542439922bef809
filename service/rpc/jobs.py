"""Jobs on the wire <-> in the core."""

from __future__ import annotations

from collections.abc import Mapping

from service.core.errors import InvalidInput
from service.core.jobs import DEFAULT_TTL_S, Durability, Item, ItemResult, Job, JobPriority, JobState, Order
from service.core.messages import Answer, ModelKey, Options, Outcome
from service.rpc.classifier import from_answer, to_answer, to_options
from service.rpc.errors import to_status
from service.rpc.pb.vitrine.v1 import classifier_pb2
from service.rpc.pb.vitrine.v1 import jobs_pb2 as pb

MAX_PAGE = 1000
_PAGE = 100

_STATES: Mapping[JobState, pb.JobState] = {
    JobState.OPEN: pb.JOB_STATE_OPEN,
    JobState.RUNNING: pb.JOB_STATE_RUNNING,
    JobState.DONE: pb.JOB_STATE_DONE,
    JobState.CANCELLED: pb.JOB_STATE_CANCELLED,
}
_STATE_OF = {number: state for state, number in _STATES.items()}
_PRIORITIES: Mapping[JobPriority, pb.JobPriority] = {
    JobPriority.LOW: pb.JOB_PRIORITY_LOW,
    JobPriority.NORMAL: pb.JOB_PRIORITY_NORMAL,
    JobPriority.HIGH: pb.JOB_PRIORITY_HIGH,
}
_PRIORITY_OF = {pb.JOB_PRIORITY_UNSPECIFIED: JobPriority.NORMAL} | {
    number: priority for priority, number in _PRIORITIES.items()
}
_DURABILITIES: Mapping[Durability, pb.JobDurability] = {
    Durability.UNVERIFIED: pb.JOB_DURABILITY_UNVERIFIED,
    Durability.MEMORY: pb.JOB_DURABILITY_MEMORY,
    Durability.WRITTEN: pb.JOB_DURABILITY_WRITTEN,
    Durability.FSYNCED: pb.JOB_DURABILITY_FSYNCED,
}
_DURABILITY_OF = {number: durability for durability, number in _DURABILITIES.items()}


def to_order(request: pb.OpenJobRequest) -> Order:
    """What is asked for; raises `InvalidInput`."""
    # The options are those of a request, and so are their limits.
    asked = classifier_pb2.ClassifyRequest(
        model=request.model, top_k=request.top_k, min_score=request.min_score, logits=request.logits
    )
    if request.priority not in _PRIORITY_OF:
        raise InvalidInput("priority", "a JobPriority", request.priority)
    return Order(
        model=request.model,
        version=request.version,
        options=to_options(asked),
        priority=_PRIORITY_OF[request.priority],
        ttl_s=request.ttl_seconds or DEFAULT_TTL_S,
        idempotency_key=request.idempotency_key,
        sources=tuple(request.sources),
    )


def from_order(order: Order) -> pb.OpenJobRequest:
    """The request that asks for it."""
    return pb.OpenJobRequest(
        model=order.model,
        version=order.version,
        top_k=order.options.top_k,
        min_score=order.options.min_score,
        logits=order.options.logits,
        idempotency_key=order.idempotency_key,
        priority=_PRIORITIES[order.priority],
        ttl_seconds=order.ttl_s,
        sources=order.sources,
    )


def from_job(job: Job) -> pb.Job:
    """What callers read of a job."""
    return pb.Job(
        id=job.id,
        model=job.model.name,
        version=job.model.version,
        state=_STATES[job.state],
        priority=_PRIORITIES[job.priority],
        durability=_DURABILITIES[job.durability],
        items=job.items,
        next_chunk=job.next_chunk,
        succeeded=job.succeeded,
        failed=job.failed,
        in_flight=job.in_flight,
        created_ms=job.created_ms,
        ended_ms=job.ended_ms,
        ttl_seconds=job.ttl_s,
        last_item=job.last_item,
        sources=job.sources,
        top_k=job.options.top_k,
        min_score=job.options.min_score,
        logits=job.options.logits,
    )


def to_job(job: pb.Job) -> Job:
    """What the caller of the SDK reads."""
    return Job(
        id=job.id,
        model=ModelKey(job.model, job.version),
        options=Options(job.top_k, job.min_score, job.logits),
        priority=_PRIORITY_OF[job.priority],
        state=_STATE_OF[job.state],
        durability=_DURABILITY_OF[job.durability],
        items=job.items,
        next_chunk=job.next_chunk,
        succeeded=job.succeeded,
        failed=job.failed,
        in_flight=job.in_flight,
        created_ms=job.created_ms,
        ended_ms=job.ended_ms,
        ttl_s=job.ttl_seconds,
        last_item=job.last_item,
        sources=tuple(job.sources),
    )


def to_item(item: pb.JobItem) -> Item:
    """One input, unchecked."""
    return Item(item.name, item.image, item.uri)


def from_item(item: Item) -> pb.JobItem:
    """One input."""
    return pb.JobItem(name=item.name, uri=item.uri) if item.uri else pb.JobItem(name=item.name, image=item.image)


def from_result(result: ItemResult) -> pb.JobResult:
    """What became of one item."""
    message = pb.JobResult(cursor=result.cursor, index=result.index, name=result.name)
    if isinstance(result.outcome, Answer):
        message.response.CopyFrom(from_answer(result.outcome))
    else:
        message.error.CopyFrom(to_status(result.outcome))
    return message


def to_result(result: pb.JobResult, error: Outcome | None) -> ItemResult:
    """What the caller of the SDK reads; `error` is what the result's status stands for, if it has one."""
    outcome = error or to_answer(result.response)
    return ItemResult(result.cursor, result.index, result.name, outcome)


def page_size(request: pb.ListJobsRequest) -> int:
    """How many jobs to list; raises `InvalidInput`."""
    if request.page_size > MAX_PAGE:
        raise InvalidInput("page_size", f"0 (the default, {_PAGE}) to {MAX_PAGE}", request.page_size)
    return request.page_size or _PAGE
