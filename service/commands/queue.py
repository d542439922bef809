"""`vitrine queue`: what waits in Redis, who works on it, and what has died."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from rich.console import Group
from rich.live import Live
from rich.table import Table

from service.bootstrap.operations import inspector, retry
from service.commands import terminal
from service.config import Config, parse
from service.core.messages import Priority
from service.queues.redis_inspector import RedisInspector
from service.queues.survey import DeadLetter, LineSurvey

Form = Literal["table", "json"]
Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the queue is; None for what the environment says."""

    redis: str | None
    password_file: Path | None

    def config(self) -> Config:
        """The configuration that this amounts to; raises `InvalidInput`."""
        flags = {"redis": self.redis, "redis_password_file": self.password_file}
        return parse({name: value for name, value in flags.items() if value is not None})


def show(place: Place, *, once: bool, form: Form, interval_s: float) -> None:
    """Print the queue, once or again and again."""
    if once:
        _print(_asked(place, lambda asked: asked.survey()), form)
    else:
        asyncio.run(_watch(place, form, interval_s))


def show_letters(place: Place, form: Form) -> None:
    """Print all dead letters, without their pictures."""
    letters = _asked(place, lambda asked: asked.letters())
    if form == "json":
        print(json.dumps([_letter(letter) for letter in letters]))  # noqa: T201 - what the command is for
    else:
        terminal.page().print(_letters(letters))


def show_letter(place: Place, entry: str, image: Path | None) -> None:
    """Print one dead letter as JSON, and write what was kept of its picture to `image`."""
    letter = _asked(place, lambda asked: asked.letter(entry))
    if image is not None:
        image.write_bytes(letter.image)
    print(json.dumps(_letter(letter), indent=2))  # noqa: T201 - what the command is for


def retry_letter(place: Place, entry: str) -> None:
    """Ask for its picture again, print the answer, and forget the letter. Raises what the request raises."""

    async def ask(asked: RedisInspector) -> None:
        letter = await asked.letter(entry)
        answer = await retry(place.config(), letter)
        best = answer.predictions[0]
        terminal.page().print(f"answered: {best.label} ({best.score:.2%})", markup=False)
        await asked.drop(letter)

    _asked(place, ask)


def drop_letter(place: Place, entry: str) -> None:
    """Forget one dead letter."""

    async def forget(asked: RedisInspector) -> None:
        await asked.drop(await asked.letter(entry))

    _asked(place, forget)


def _asked(place: Place, ask: Callable[[RedisInspector], Awaitable[Seen]]) -> Seen:
    async def run() -> Seen:
        async with inspector(place.config()) as asked:
            return await ask(asked)

    return asyncio.run(run())


async def _watch(place: Place, form: Form, interval_s: float) -> None:
    async with inspector(place.config()) as asked:
        if form == "json":
            while True:
                _print(await asked.survey(), form)
                await asyncio.sleep(interval_s)
        with Live(_tables(await asked.survey()), console=terminal.page(), auto_refresh=False) as live:
            while True:
                await asyncio.sleep(interval_s)
                live.update(_tables(await asked.survey()), refresh=True)


def _print(lines: Sequence[LineSurvey], form: Form) -> None:
    if form == "json":
        print(json.dumps([_line(line) for line in lines]), flush=True)  # noqa: T201 - what the command is for
    else:
        terminal.page().print(_tables(lines))


def _tables(lines: Sequence[LineSurvey]) -> Group:
    return Group(_queues(lines), _workers(lines))


def _queues(lines: Sequence[LineSurvey]) -> Table:
    priorities = [priority.name.lower() for priority in Priority]
    table = terminal.table(
        "model", *priorities, "leased", "oldest s", "MB", "ms each", "wait s", "lanes", "workers", "dead"
    )
    for line in lines:
        table.add_row(
            str(line.model),
            *(str(line.entries[priority]) for priority in Priority),
            str(line.leased),
            f"{line.oldest_s:.1f}",
            f"{line.bytes / 1e6:.1f}",
            f"{line.ms_per_item:.2f}",
            f"{line.wait_s:.2f}",
            str(line.lanes),
            str(sum(post.lanes > 0 for post in line.workers)),
            str(line.dead_letters),
        )
    return table


def _workers(lines: Sequence[LineSurvey]) -> Table:
    table = terminal.table("worker", "model", "lanes", "leases")
    for line in lines:
        for post in line.workers:
            table.add_row(post.worker, str(line.model), str(post.lanes or "gone"), str(post.leases))
    return table


def _letters(letters: Sequence[DeadLetter]) -> Table:
    table = terminal.table("letter", "model", "request", "died", "deaths", "bytes", "kept", "reason")
    for letter in letters:
        row = _letter(letter)
        table.add_row(
            *(str(row[name]) for name in ("letter", "model", "id", "died", "deaths", "bytes", "kept_bytes", "reason"))
        )
    return table


def _line(line: LineSurvey) -> dict[str, object]:
    return {
        "model": line.model.name,
        "version": line.model.version,
        "entries": {priority.name.lower(): count for priority, count in line.entries.items()},
        "leased": line.leased,
        "oldest_s": line.oldest_s,
        "bytes": line.bytes,
        "ms_per_item": line.ms_per_item,
        "wait_s": line.wait_s,
        "lanes": line.lanes,
        "workers": [{"worker": post.worker, "lanes": post.lanes, "leases": post.leases} for post in line.workers],
        "dead_letters": line.dead_letters,
    }


def _letter(letter: DeadLetter) -> dict[str, object]:
    return {
        "letter": letter.entry,
        "model": str(letter.model),
        "id": letter.id,
        "died": dt.datetime.fromtimestamp(letter.died_ms / 1000, dt.UTC).isoformat(timespec="seconds"),
        "deaths": letter.deaths,
        "bytes": letter.size,
        "kept_bytes": len(letter.image),
        "sha256": letter.sha256,
        "reason": letter.reason,
    }
