"""One connection to Redis for many callers: what they send in one turn of the event loop leaves in one flush.

redis-py's clients hold a connection per command, retry by themselves and break a connection when a caller is
cancelled. Here replies are matched to commands by their order, a caller that leaves drops only its own reply, and
nothing is ever sent twice: whether that is safe is for the caller to know.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from service.core.errors import NotReady
from service.queues import scripts
from service.queues.redis_url import Server, hang_up
from service.queues.scripts import Script

Arg = bytes | str | int | float
_Future = asyncio.Future[Any]

#: Waits between two attempts to connect: at most `_FIRST_S`, doubled up to `_LAST_S`, with full jitter.
_FIRST_S, _LAST_S = 0.05, 1.0
_CONNECT_S = 3.0
#: How often to look whether replies are overdue, and whether the master is another one.
_LOOK_S = 1.0
#: Replies that mean "not here, or not now": the server is asked for again, wherever it is by then.
_MOVED = (ReadOnlyError, MovedError, MasterDownError, ClusterDownError)


class Away(NotReady):
    """Redis did not answer. `sent` tells whether it may have carried the command out."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class Rejected(NotReady):
    """Redis answered with an error; `kind` is its first word, e.g. "NOGROUP"."""

    def __init__(self, error: ResponseError) -> None:
        super().__init__(f"redis: {str(error).partition(' script: ')[0]}")
        # redis-py cuts the first word off where it has a class for it
        self.kind = "NOPERM" if isinstance(error, NoPermissionError) else str(error).partition(" ")[0]


@dataclass(slots=True)
class _Command:
    args: tuple[Arg, ...]
    reply: _Future
    sent_s: float = 0.0


class Link:
    """Keeps one connection open, again and again. `on_up` is called, without arguments, whenever it is.

    While Redis is away commands fail at once with `Away`. `patience_s` bounds the wait for each reply.
    """

    def __init__(self, server: Server, patience_s: float = 5.0, on_up: Callable[[], object] = lambda: None) -> None:
        self._server = server
        self._patience_s = patience_s
        self._on_up = on_up
        self._outbox: deque[_Command] = deque()
        self._waiting: deque[_Command] = deque()
        self._filled = asyncio.Event()
        self._up = asyncio.Event()
        self._down = asyncio.Event()
        self._down_s = 0.0  #: since when, on the loop's clock
        self._known = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._broke = "redis: the connection broke"
        self.away = ""  #: why Redis cannot be reached; empty while it can, or while nobody knows yet
        self.client_id = 0  #: of the connection, as CLIENT UNBLOCK wants it
        self.connections = 0  #: how many there have been

    async def __aenter__(self) -> Self:
        """Start; returns when Redis answers or is known to be away."""
        self._fell()
        self._task = asyncio.create_task(self._run(), name="redis link")
        self._task.add_done_callback(lambda _: self._gone("redis: the connection is closed"))
        await self._known.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close; whatever is unanswered fails with `Away`."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    async def up(self) -> None:
        """Wait until Redis answers."""
        await self._up.wait()

    async def lost(self, after_s: float) -> None:
        """Wait until Redis has been away for `after_s` seconds on end."""
        while True:
            await self._down.wait()
            try:
                async with asyncio.timeout_at(self._down_s + after_s):
                    await self._up.wait()
            except TimeoutError:
                return

    def send(self, *args: Arg) -> _Future:
        """Send one command with this turn's flush; the future fails with `Away` or `Rejected`."""
        command = _Command(args, asyncio.get_running_loop().create_future())
        if self.away:
            command.reply.set_exception(Away(self.away, sent=False))
        else:
            self._outbox.append(command)
            self._filled.set()
        return command.reply

    def run(self, script: Script, keys: Sequence[str], *args: Arg) -> _Future:
        """Run a script; like `send`."""
        return self.send("EVALSHA", script.sha, len(keys), *keys, *args)

    # The connection's life

    async def _run(self) -> None:
        pause_s = _FIRST_S
        while True:
            try:
                connection = await self._connect()
            except (RedisError, OSError, TimeoutError) as error:
                self._gone(f"redis is away: {str(error) or f'no reply within {_CONNECT_S:g} s'}")
                await asyncio.sleep(random.uniform(0, pause_s))  # noqa: S311 - jitter, no secret
                pause_s = min(2 * pause_s, _LAST_S)
                continue
            pause_s = _FIRST_S
            try:
                await self._converse(connection)
            finally:
                self._fell()
                self._fail(self._waiting, sent=True)
                await hang_up(connection)

    async def _connect(self) -> AbstractConnection:
        async with asyncio.timeout(_CONNECT_S):
            connection = await self._server.connection()
            try:
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py
                commands = [("SCRIPT", "LOAD", script.text) for script in scripts.ALL] + [("CLIENT", "ID")]
                packed = [part for command in commands for part in connection.pack_command(*command)]
                await connection.send_packed_command(packed)
                replies = [await connection.read_response() for _ in commands]
                self.client_id = replies[-1]
            except BaseException:
                await hang_up(connection)
                raise
        return connection

    async def _converse(self, connection: AbstractConnection) -> None:
        self.away = ""
        self.connections += 1
        self._down.clear()
        self._up.set()
        self._known.set()
        self._on_up()
        self._filled.set()  # what a conversation left behind that ended while it wrote waits for nobody to send more
        tasks = [asyncio.create_task(each(connection)) for each in (self._write, self._read, self._watch)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        self._broke = f"redis: {_why(tasks)}"

    def _fell(self) -> None:
        self._up.clear()
        self._down.set()
        self._down_s = asyncio.get_running_loop().time()

    def _gone(self, reason: str) -> None:
        self.away = reason
        self._known.set()
        self._fail(self._outbox, sent=False)

    def _fail(self, commands: deque[_Command], *, sent: bool) -> None:
        while commands:
            reply = commands.popleft().reply
            if not reply.done():
                reply.set_exception(Away(self.away or self._broke, sent=sent))

    # The conversation

    async def _write(self, connection: AbstractConnection) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._filled.wait()
            self._filled.clear()
            packed: list[bytes] = []
            while self._outbox:
                command = self._outbox.popleft()
                command.sent_s = loop.time()
                self._waiting.append(command)
                packed.extend(connection.pack_command(*command.args))
            if not connection.is_connected:
                raise ConnectionError("the connection broke")  # redis-py would make another one, which nobody reads
            await connection.send_packed_command(packed, check_health=False)

    async def _read(self, connection: AbstractConnection) -> None:
        while True:
            try:
                reply = await connection.read_response()
            except ResponseError as error:
                reply = error
            self._answer(self._waiting.popleft(), reply)

    async def _watch(self, connection: AbstractConnection) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(self._patience_s / 4, _LOOK_S))
            if self._waiting and loop.time() - self._waiting[0].sent_s > self._patience_s:
                raise TimeoutError(f"no reply within {self._patience_s:g} s")
            if await self._server.moved(connection):
                raise ConnectionError("another server is the master by now")

    def _answer(self, command: _Command, reply: Any) -> None:
        if isinstance(reply, NoScriptError):
            self._teach(command)
        elif command.reply.done():
            pass  # its caller has left
        elif isinstance(reply, ResponseError):
            command.reply.set_exception(Rejected(reply))
        else:
            command.reply.set_result(reply)
        if isinstance(reply, _MOVED) or (isinstance(reply, ResponseError) and str(reply).startswith("UNBLOCKED")):
            raise ConnectionError(f"redis: {reply}")

    def _teach(self, command: _Command) -> None:
        """The server forgot its scripts: send the text this once, after which it knows it again."""
        _, sha, *rest = command.args
        text = next(script.text for script in scripts.ALL if script.sha == sha)
        self._outbox.append(_Command(("EVAL", text, *rest), command.reply))
        self._filled.set()


def _why(tasks: Sequence[asyncio.Task[None]]) -> BaseException | None:
    """What ended a conversation. Whatever it was, the next connection is another try; a fault is reported as well."""
    errors = [error for task in tasks if not task.cancelled() and (error := task.exception())]
    for error in errors:
        if not isinstance(error, RedisError | OSError):
            fault = {"message": "the conversation with Redis ended by a fault", "exception": error}
            asyncio.get_running_loop().call_exception_handler(fault)
    return next(iter(errors), None)
