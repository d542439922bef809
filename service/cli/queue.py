"""`vitrine queue`: what waits in Redis, who works on it, and what has died."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Redis = Annotated[str | None, typer.Option(envvar="VITRINE_REDIS", help="URL of the Redis with the queue")]
RedisPasswordFile = Annotated[
    Path | None, typer.Option(envvar="VITRINE_REDIS_PASSWORD_FILE", help="file with its password")
]
QueueForm = Annotated[Literal["table", "json"], typer.Option(help="what to write")]
LetterName = Annotated[str, typer.Argument(metavar="LETTER", help="its name, as `list` shows it")]

app = typer.Typer(help="Look at the queue in Redis: what waits, who works on it, what has died.")
dead = typer.Typer(no_args_is_help=True, help="Requests that have killed their workers too often.")
app.add_typer(dead, name="dead")


@app.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    *,
    redis: Redis = None,
    redis_password_file: RedisPasswordFile = None,
    once: Annotated[bool, typer.Option("--once", help="print it once instead of following it")] = False,
    format: QueueForm = "table",
    interval_s: Annotated[float, typer.Option(min=0.05, help="seconds between two looks")] = 1.0,
) -> None:
    """Follow the queue: depth by priority, oldest request, leases, workers, dead letters."""
    if context.invoked_subcommand is None:
        from service.commands import queue

        queue.show(queue.Place(redis, redis_password_file), once=once, form=format, interval_s=interval_s)


@dead.command("list")
def show_letters(
    *, redis: Redis = None, redis_password_file: RedisPasswordFile = None, format: QueueForm = "table"
) -> None:
    """List the dead letters."""
    from service.commands import queue

    queue.show_letters(queue.Place(redis, redis_password_file), format)


@dead.command("show")
def show_letter(
    letter: LetterName,
    *,
    redis: Redis = None,
    redis_password_file: RedisPasswordFile = None,
    image: Annotated[Path | None, typer.Option(help="file to write its picture to")] = None,
) -> None:
    """Show one dead letter, and save its picture."""
    from service.commands import queue

    queue.show_letter(queue.Place(redis, redis_password_file), letter, image)


@dead.command("retry")
def retry_letter(letter: LetterName, *, redis: Redis = None, redis_password_file: RedisPasswordFile = None) -> None:
    """Ask for its picture once more; when that is answered, the letter is dropped."""
    from service.commands import queue

    queue.retry_letter(queue.Place(redis, redis_password_file), letter)


@dead.command("drop")
def drop_letter(letter: LetterName, *, redis: Redis = None, redis_password_file: RedisPasswordFile = None) -> None:
    """Drop one dead letter."""
    from service.commands import queue

    queue.drop_letter(queue.Place(redis, redis_password_file), letter)
