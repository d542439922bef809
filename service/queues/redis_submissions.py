"""The asking side over Redis: a front-end holds its requests, and is the one who tries again when Redis forgets."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from google.protobuf.message import DecodeError

from service.core import events
from service.core.admission import Load, QueueLimits, refusal
from service.core.errors import Cancelled, EngineFailed, NotReady, Reason, ServiceError, TooLate
from service.core.events import Dropped, Emit
from service.core.messages import NEVER, Answer, ModelKey, Outcome, Request
from service.core.ports import Depth
from service.queues import envelope, scripts
from service.queues.keys import GROUP, KEY_TTL_MS, Keys
from service.queues.redis_link import Away, Link, Rejected
from service.queues.redis_replies import Replies
from service.queues.redis_url import Server
from service.queues.settling import settle

_BLOCK_S = 2.0
#: How often one request is handed to Redis when connections break under it.
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class FrontEndTimes:
    """How a front-end keeps in touch with Redis, in seconds."""

    patience_s: float = 5.0  #: for one reply of Redis
    beat_s: float = 1.0  #: between two signs of life
    life_s: float = 15.0  #: without a sign of life the front-end's answers are thrown away
    away_s: float = 10.0  #: how long requests in flight wait for a Redis that is away


@dataclass(slots=True, eq=False)
class _Call:
    """One request in flight."""

    request: Request
    token: bytes
    answer: asyncio.Future[Answer]
    entry: bytes = b""  #: where it waits; empty until Redis has said so
    attempts: int = 0
    left: bool = False  #: the caller waits no more
    finished: bool = False  #: a worker has spoken
    timer: asyncio.TimerHandle | None = field(default=None)

    def settle(self, outcome: Outcome) -> None:
        """Answer the caller, unless that has been done or the caller has left."""
        settle(self.answer, outcome)


class RedisSubmissions:
    """`Submissions` over Redis. One per process; an async context manager.

    It may start while Redis is away: then `submit` raises `NotReady` at once, until Redis is back.
    """

    def __init__(
        self,
        server: Server,
        limits: QueueLimits,
        emit: Emit,
        *,
        keys: Keys | None = None,
        times: FrontEndTimes | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._emit = emit
        self._keys = keys or Keys()
        self._times = times or FrontEndTimes()
        self._now = now
        # The stream of replies is made anew with each connection.
        self._commands = Link(server, self._times.patience_s, on_up=self._came_up)
        self._replies = Replies(self._keys, self._commands, self._times.life_s, self._deliver)
        self._listening = Link(server, _BLOCK_S + self._times.patience_s)
        self._calls: dict[bytes, _Call] = {}
        self._doubtful: list[_Call] = []  #: sent into a connection that broke: perhaps admitted, perhaps not
        self._tokens = itertools.count()
        self._depths: dict[ModelKey, Depth] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Connect, and listen for answers."""
        await self._commands.__aenter__()
        await self._listening.__aenter__()
        if not self.away:
            await self._replies.greet()
        self._tasks = [asyncio.create_task(self._listen(), name="replies"), asyncio.create_task(self._live())]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Whoever still waits is told that this front-end shuts down."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        for call in list(self._calls.values()):
            call.settle(NotReady("the server is shutting down"))
            self._leave(call)
        await self._replies.drop()
        await self._listening.__aexit__()
        await self._commands.__aexit__()

    @property
    def away(self) -> str:
        """Why Redis cannot be reached; empty while it can."""
        return self._commands.away

    def depth(self, model: ModelKey) -> Depth:
        """What Redis holds for one model version, as of the last beat."""
        return self._depths.setdefault(model, Depth(0, 0))

    async def submit(self, request: Request) -> Answer:
        """Admit, wait for and return the answer; see `Submissions.submit`."""
        loop = asyncio.get_running_loop()
        token = next(self._tokens).to_bytes(8, "big")
        call = self._calls[token] = _Call(request, token, loop.create_future())
        if request.deadline != NEVER:
            late = TooLate("deadline: it passed before an answer was computed")
            call.timer = loop.call_later(request.deadline - self._now(), call.settle, late)
        self._put(call)
        try:
            return await call.answer
        finally:
            self._leave(call)

    # Admission

    def _put(self, call: _Call) -> None:
        call.attempts += 1
        request = call.request
        keys = self._keys.of(request.model)
        reply = self._commands.run(
            scripts.SUBMIT,
            [keys.line, keys.workers, keys.stream(request.priority), *keys.streams],
            request.priority + 1,
            self._limits.max_entries,
            self._limits.max_bytes,
            envelope.left_ms(request.deadline, self._now()),
            KEY_TTL_MS,
            len(request.image),
            envelope.SCHEMA,
            call.token,
            self._replies.name,
            envelope.params(request.id, request.options, request.trace),
            bytes(request.image),
            int(call.attempts > 1),
        )
        reply.add_done_callback(partial(self._admitted, call))

    def _admitted(self, call: _Call, reply: asyncio.Future[Any]) -> None:
        error = reply.exception()
        if isinstance(error, Away) and (error.sent or call.attempts > 1) and call.attempts < _ATTEMPTS:
            self._doubtful.append(call)
        elif isinstance(error, ServiceError):
            call.settle(error)
        else:
            self._placed(call, reply.result())

    def _placed(self, call: _Call, verdict: Sequence[Any]) -> None:
        if verdict[0] == b"OK":
            call.entry = verdict[1]
            if call.left:
                self._withdraw(call)
        else:
            reason, load = Reason(verdict[0].decode()), Load(verdict[1], verdict[2], verdict[3] / 1000)
            if not call.answer.done():
                self._emit(events.Rejected(call.request.model.name, reason))
            left_s = call.request.deadline - self._now()
            call.settle(refusal(reason, self._limits, load, len(call.request.image), left_s))

    # Leaving

    def _leave(self, call: _Call) -> None:
        """The caller takes the answer or gives up waiting for it; either way nothing is kept."""
        if call.left:
            return  # when the front-end was closed
        call.left = True
        if call.timer:
            call.timer.cancel()
        del self._calls[call.token]
        if call.entry and not call.finished:
            self._withdraw(call)

    def _withdraw(self, call: _Call) -> None:
        keys = self._keys.of(call.request.model)
        stream = keys.stream(call.request.priority)
        reply = self._commands.run(scripts.CANCEL, [stream, keys.line], GROUP, call.entry, len(call.request.image))
        reply.add_done_callback(partial(self._withdrawn, call))

    def _withdrawn(self, call: _Call, reply: asyncio.Future[Any]) -> None:
        if reply.exception() is None and reply.result() == [1]:
            expired = not call.answer.cancelled()
            self._emit(Dropped(call.request.model, "queue", expired=expired))

    # Answers

    async def _listen(self) -> None:
        """Hand answers to their callers for ever; after every break look for requests that Redis has forgotten."""
        while True:
            try:
                async with asyncio.timeout(self._times.away_s):
                    await self._listening.up()
                    await self._commands.up()
                await self._replies.greet()
                await self._recover()
                while True:
                    await self._replies.take(self._listening, "BLOCK", int(_BLOCK_S * 1000))
            except TimeoutError:
                for call in list(self._calls.values()):
                    call.settle(NotReady(self._listening.away or self._commands.away))
            except Rejected:
                await asyncio.sleep(self._times.beat_s)
            except Away:
                continue

    def _deliver(self, token: bytes, body: bytes) -> None:
        call = self._calls.get(token)
        if call is None:
            return  # its caller has left
        try:
            outcome = envelope.read_reply(body)
        except DecodeError as error:
            outcome = EngineFailed(f"the worker's answer cannot be read: {error}")
        if not isinstance(outcome, Cancelled):
            call.finished = True
            call.settle(outcome)

    # Staying in touch

    async def _live(self) -> None:
        """Say that this front-end lives, learn how deep the queues are, and notice when Redis has forgotten us."""
        while True:
            await asyncio.sleep(self._times.beat_s)
            try:
                await self._replies.greet()
                if self._replies.lost:
                    await self._recover()
                for model in list(self._depths):
                    await self._measure(model)
            except (Away, Rejected):
                await self._commands.up()

    def _came_up(self) -> None:
        """Perhaps another server, which may know less than the one that accepted.

        Whatever was under way when the connection broke is put again, perhaps for a second time: then two workers may
        compute it, and the first answer counts.
        """
        self._replies.lost = True
        self._replies.greet()
        doubtful, self._doubtful = self._doubtful, []
        for call in doubtful:
            if not call.answer.done():
                self._put(call)

    async def _measure(self, model: ModelKey) -> None:
        keys = self._keys.of(model)
        entries, size = await self._commands.run(scripts.DEPTH, [keys.line, *keys.streams])
        self._depths[model] = Depth(entries, size)

    async def _recover(self) -> None:
        """Submit again, under the same tokens, what is neither queued nor answered."""
        self._replies.lost = False
        suspects = {call.token: call.entry for call in self._calls.values() if call.entry}
        missing = await self._missing([self._calls[token] for token in suspects])
        while await self._replies.take(self._commands):
            pass  # what was finished in the meantime
        for token, entry in suspects.items():
            call = self._calls.get(token)
            if call is not None and not call.answer.done() and call.entry == entry and entry in missing:
                call.entry = b""
                self._put(call)

    async def _missing(self, calls: Sequence[_Call]) -> set[bytes]:
        lines: dict[str, list[bytes]] = {}
        for call in calls:
            stream = self._keys.of(call.request.model).stream(call.request.priority)
            lines.setdefault(stream, []).extend((call.entry, call.token))
        missing: set[bytes] = set()
        for stream, entries in lines.items():
            missing.update(await self._commands.run(scripts.LOST, [stream], self._replies.name, *entries))
        return missing
