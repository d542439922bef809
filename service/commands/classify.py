"""`vitrine classify`: pictures in, lines out, with bounded memory whatever their number."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from rich.progress import Progress

from service.client import AsyncClient, Result
from service.commands import asking, terminal
from service.commands.inputs import STDIN, count, each
from service.commands.progress import BAR, bar
from service.commands.writers import Format, Write, writer
from service.core.errors import NotReady
from service.core.messages import Options

#: Seconds between two looks at a server that is not ready yet.
POLL_S = 0.2
#: File names need not be text; what is not becomes `\\udcff`, which JSON reads back as Python's own escape of the byte.
UNPRINTABLE = "backslashreplace"


@dataclass(frozen=True, slots=True)
class Job:
    """What to ask of whom, and where the answers go: `output`, or stdout."""

    server: str
    model: str
    version: int
    options: Options
    form: Format
    concurrency: int
    timeout_s: float
    output: Path | None
    label: str = ""
    route_key: str = ""
    wait_s: float = 0.0  #: how long the server may take to be there and to have the model ready


def run(job: Job, paths: Sequence[str]) -> int:
    """Classify everything that `paths` stand for; returns how many failed, after naming them on stderr.

    Raises `ServiceError` when the server cannot be reached or has no such model or label, before anything is read.
    """
    accept_any_name()
    return asyncio.run(_run(job, paths))


def accept_any_name() -> None:
    """Let stdin and stdout carry file names that are no text."""
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, UNPRINTABLE)):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


async def _run(job: Job, paths: Sequence[str]) -> int:
    console = terminal.notes()
    # Asked once, without patience: a person who mistyped an address wants to hear of it at once.
    async with AsyncClient(job.server, timeout_s=job.timeout_s, retry=asking.AT_ONCE) as client:
        await _ready(client, job)
        if job.label:
            (await client.routing(job.model)).routing.version(job.model, job.label)
    async with AsyncClient(job.server, timeout_s=job.timeout_s) as client:
        results = client.classify_many(
            each(paths, sys.stdin),
            model=job.model,
            version=job.version,
            options=job.options,
            concurrency=job.concurrency,
            label=job.label,
            route_key=job.route_key,
        )
        with bar(console) as progress, destination(job.output) as out:
            async with _counted(progress, paths):
                return await _write(results, writer(job.form, out, job.options.top_k), out, progress)


async def _ready(client: AsyncClient, job: Job) -> None:
    """Return when the model is ready or `wait_s` is over; raises `ServiceError` when there is none by then."""
    until = time.monotonic() + job.wait_s
    while True:
        waiting = time.monotonic() < until
        try:
            if (await client.model(job.model, job.version)).state == "ready" or not waiting:
                return
        except NotReady:
            if not waiting:
                raise
        await asyncio.sleep(POLL_S)


async def _write(results: AsyncIterable[Result], write: Write, out: TextIO, progress: Progress) -> int:
    done = failed = 0
    started = time.monotonic()
    async for result in results:
        write(result)
        out.flush()  # whoever follows the output sees each result when it is there
        done += 1
        failed += result.error is not None
        progress.update(BAR, completed=done, failed=failed)
        if result.error:
            progress.console.print(f"{result.image!s}: {result.error}")
    took_s = time.monotonic() - started
    progress.console.print(f"{done} pictures, {failed} failed, {took_s:.1f} s, {done / max(took_s, 1e-9):.1f}/s")
    return failed


@contextlib.asynccontextmanager
async def _counted(progress: Progress, paths: Sequence[str]) -> AsyncIterator[None]:
    """Count the pictures for the time that is left, beside the work; paths from stdin cannot be known in advance."""

    async def tell() -> None:
        progress.update(BAR, total=await asyncio.to_thread(count, paths))

    if progress.disable or STDIN in paths:
        yield
        return
    async with asyncio.TaskGroup() as beside:
        counting = beside.create_task(tell())
        yield
        counting.cancel()


@contextlib.contextmanager
def destination(output: Path | None) -> Iterator[TextIO]:
    """The file, emptied, or stdout."""
    if output is None:
        yield sys.stdout
    else:
        with output.open("w", encoding="utf-8", errors=UNPRINTABLE, newline="") as file:
            yield file
