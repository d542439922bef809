"""`vitrine jobs submit`: what is handed in, and where it comes from."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from service.client import AsyncClient
from service.client.jobs import Source
from service.commands import terminal
from service.commands.classify import accept_any_name
from service.commands.inputs import EXTENSIONS, pictures
from service.commands.job_progress import following, summary
from service.commands.job_results import Sink, sink
from service.commands.progress import BAR, bar
from service.core.errors import InvalidInput
from service.core.jobs import Job, Order

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Submission:
    """What to hand in where; `resume` is the id of a job to go on with."""

    server: str
    order: Order
    resume: str = ""
    wait: bool = False
    out: Path | None = None


def submit(submission: Submission, paths: Sequence[str]) -> int:
    """Hand everything in and say under which id; waits for results if asked to. Returns how many items failed.

    Raises `ServiceError`, `SystemExit` when interrupted: the job is as it was then, and can be resumed.
    """
    accept_any_name()
    results = sink(submission.out) if submission.out else None
    console = terminal.notes()
    known = [submission.resume]

    def opened(job: Job) -> None:
        known[0] = job.id
        console.print(f"job {job.id}")

    try:
        return asyncio.run(_submit(submission, paths, results, console, opened))
    except KeyboardInterrupt:
        hint = f"vitrine jobs submit --server {submission.server} --resume {known[0]}"
        console.print(f"interrupted; nothing is lost. Go on with: {hint}" if known[0] else "interrupted")
        sys.exit(INTERRUPTED)


async def _submit(
    submission: Submission,
    paths: Sequence[str],
    results: Sink | None,
    console: Console,
    opened: Callable[[Job], None],
) -> int:
    async with AsyncClient(submission.server) as client:
        # Absolute, so that items have the same names wherever the job is resumed.
        places = tuple(map(_absolute, paths))
        job = await _begin(client, submission, places)
        opened(job)
        places = places or job.sources
        with bar(console) as progress:
            counting = asyncio.create_task(_count(places, progress))
            counting.add_done_callback(_heeded)
            handing_in = asyncio.create_task(_hand_in(client, job, places, progress, submission))
            try:
                if submission.wait or results:
                    return await _follow(client, job.id, results, progress, handing_in)
                job = await handing_in
            finally:
                counting.cancel()
                handing_in.cancel()
    console.print(f"{job.items} items accepted, kept as {job.durability.name.lower()}")
    console.print(f"  vitrine jobs watch --server {submission.server} {job.id}")
    return 0


def _heeded(counting: asyncio.Task[None]) -> None:
    """What cannot be counted cannot be handed in either, which is where it is told."""
    if not counting.cancelled():
        counting.exception()


async def _begin(client: AsyncClient, submission: Submission, places: tuple[str, ...]) -> Job:
    if submission.resume:
        return await client.jobs.get(submission.resume)
    return await client.jobs.open(replace(submission.order, sources=places))


def _absolute(path: str) -> str:
    return path if "://" in path else str(Path(path).resolve())


async def _hand_in(
    client: AsyncClient, job: Job, places: Sequence[str], progress: Progress, submission: Submission
) -> Job:
    """The bar shows what is accepted, unless somebody waits for what is finished."""
    waiting = submission.wait or submission.out

    def sent(count: int) -> None:
        if not waiting:
            progress.update(BAR, completed=count)

    def unreadable(source: Source, error: Exception) -> None:
        progress.console.print(f"{source}: left out: {error}")

    return await client.jobs.submit(_sources(places), submission.order, resume=job.id, sent=sent, unreadable=unreadable)


async def _follow(
    client: AsyncClient, id: str, results: Sink | None, progress: Progress, handing_in: asyncio.Task[Job]
) -> int:
    """Watch until the end, while more is handed in; an error there ends the wait."""
    watching = asyncio.create_task(following(client, id, results, progress))
    done, _ = await asyncio.wait((watching, handing_in), return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        if task.exception():
            watching.cancel()
            task.result()
    job = await watching
    progress.console.print(summary(job))
    return job.failed


async def _count(places: Sequence[str], progress: Progress) -> None:
    progress.update(BAR, total=await asyncio.to_thread(lambda: sum(1 for place in places for _ in named(place))))


async def _sources(places: Sequence[str]) -> AsyncIterator[Source]:
    for place in places:
        names = named(place)
        while (name := await asyncio.to_thread(next, names, None)) is not None:
            yield name if "://" in name else Path(name)


def named(place: str) -> Any:
    """A folder's pictures, a picture, a URI, or the lines of a list of these."""
    path = Path(place)
    if "://" in place:
        yield place
    elif path.is_dir() or path.suffix.lower() in EXTENSIONS:
        yield from pictures(place)
    else:
        try:
            with path.open(encoding="utf-8", errors="surrogateescape") as lines:
                yield from (line.rstrip("\r\n") for line in lines if line.strip())
        except OSError as error:
            raise InvalidInput("input", f"a folder, a picture, a URI or a list ({error.strerror})", place) from None
