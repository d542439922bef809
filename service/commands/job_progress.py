"""How a job goes on."""

from __future__ import annotations

from contextlib import aclosing

from rich.progress import Progress

from service.client import AsyncClient, Result
from service.commands.job_results import Sink
from service.commands.progress import BAR
from service.core.jobs import ItemResult, Job, JobState
from service.core.messages import Answer


async def following(client: AsyncClient, id: str, results: Sink | None, progress: Progress) -> Job:
    """Show progress until the job has ended; with `results`, store each of them."""
    last: Job | None = None
    try:
        async with aclosing(client.jobs.watch(id, results=results is not None)) as events:
            async for event in events:
                last = event.job
                progress.update(BAR, completed=last.finished, failed=last.failed)
                if last.state is not JobState.OPEN:
                    progress.update(BAR, total=last.items)
                if results:
                    for result in event.results:
                        results.write(as_result(result))
    finally:
        if results:
            results.close()
    assert last is not None
    return last


def summary(job: Job) -> str:
    """How it stands, in one line."""
    took_s = (job.ended_ms - job.created_ms) / 1000 if job.ended_ms else 0.0
    rate = f", {took_s:.1f} s, {job.finished / took_s:.1f}/s" if took_s else ""
    return (
        f"job {job.id} is {job.state.value}: {job.succeeded} succeeded, {job.failed} failed, {job.items} in all{rate}"
    )


def as_result(result: ItemResult) -> Result:
    """As the writers of `vitrine classify` want it."""
    if isinstance(result.outcome, Answer):
        return Result(result.name, answer=result.outcome)
    return Result(result.name, error=result.outcome)
