"""`vitrine jobs`: durable sets of pictures, watched, listed, fetched and cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from rich.table import Table

from service.client import AsyncClient
from service.commands import asking, terminal
from service.commands.classify import accept_any_name
from service.commands.job_progress import as_result, following, summary
from service.commands.job_results import sink
from service.commands.progress import bar
from service.core.jobs import Job
from service.core.messages import Answer

Returned = TypeVar("Returned")


def watch(server: str, id: str) -> int:
    """Show how a job goes on until it has ended; returns how many of its items failed."""

    async def run(client: AsyncClient) -> Job:
        console = terminal.notes()
        with bar(console) as progress:
            job = await following(client, id, None, progress)
        console.print(summary(job))
        return job

    return _with_client(server, run).failed


def fetch(server: str, id: str, out: Path | None) -> int:
    """Write the results that are there; returns how many of them are failures."""

    async def run(client: AsyncClient) -> int:
        target, failed = sink(out), 0
        try:
            async with aclosing(client.jobs.results(id)) as results:
                async for result in results:
                    target.write(as_result(result))
                    failed += not isinstance(result.outcome, Answer)
        finally:
            target.close()
        return failed

    accept_any_name()
    return _with_client(server, run)


def cancel(server: str, id: str) -> None:
    """Have no more of a job computed."""

    async def run(client: AsyncClient) -> Job:
        return await client.jobs.cancel(id)

    terminal.notes().print(summary(_with_client(server, run)))


def show(server: str, id: str) -> None:
    """Print everything that is known of a job."""

    async def run(client: AsyncClient) -> Job:
        return await client.jobs.get(id)

    job = _with_client(server, run)
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in (
        ("job", job.id),
        ("model", str(job.model)),
        ("state", job.state.value),
        ("priority", job.priority.name.lower()),
        ("kept as", job.durability.name.lower()),
        ("items", str(job.items)),
        ("succeeded", str(job.succeeded)),
        ("failed", str(job.failed)),
        ("in flight", str(job.in_flight)),
        ("opened", _time(job.created_ms)),
        ("ended", _time(job.ended_ms)),
        ("kept for", f"{job.ttl_s} s after the last change"),
        ("from", "\n".join(job.sources)),
    ):
        table.add_row(name, value)
    terminal.page().print(table)


def overview(server: str) -> None:
    """Print one line for each job, newest first."""

    async def run(client: AsyncClient) -> list[Job]:
        return [job async for job in client.jobs.list()]

    table = terminal.table()
    for column in ("job", "model", "state", "finished", "failed", "opened"):
        table.add_column(column, no_wrap=True)
    for job in _with_client(server, run):
        finished = f"{job.finished}/{job.items}"
        table.add_row(job.id, str(job.model), job.state.value, finished, str(job.failed or ""), _time(job.created_ms))
    terminal.page().print(table)


def _with_client(server: str, run: Callable[[AsyncClient], Coroutine[Any, Any, Returned]]) -> Returned:
    async def go() -> Returned:
        async with AsyncClient(server, retry=asking.AT_ONCE) as client:
            return await run(client)

    return asyncio.run(go())


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S") if ms else ""
