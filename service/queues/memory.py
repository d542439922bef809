"""The queue of the embedded default: requests wait in this process, and everything happens on one event loop."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from service.core.admission import Backlog, QueueLimits, admit, computed
from service.core.errors import NotReady, Overloaded, TooLate
from service.core.events import Dropped, Emit, Rejected
from service.core.messages import NEVER, Answer, Lease, ModelKey, Outcome, Request
from service.core.ports import Depth, Engine
from service.core.turns import Courtesy, Turns
from service.queues.settling import settle


class MemoryQueue:
    """`Submissions` and `Work` within one process, one line per model version.

    Not thread-safe: lanes lease and settle on the loop and compute elsewhere.
    """

    def __init__(self, limits: QueueLimits, emit: Emit, now: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._emit = emit
        self._now = now
        self._lines: dict[ModelKey, _Line] = {}
        self._courtesy = Courtesy()

    def open(self, model: ModelKey, engine: Engine) -> None:
        """Admit requests for `model` from now on, worked on by the lanes that `engine` was tuned for."""
        self._lines[model] = _Line(Backlog(engine.tuning.chosen.hands), Turns(self._courtesy))

    def close(self, model: ModelKey) -> None:
        """Admit no more; what is queued can still be leased, and idle lanes learn that nothing will come."""
        line = self._lines.get(model)
        if line:
            line.closed = True
            line.wake_all()

    def depth(self, model: ModelKey) -> Depth:
        """Entries and bytes admitted and not yet answered."""
        line = self._lines.get(model)
        return Depth(line.backlog.entries, line.backlog.bytes) if line else Depth(0, 0)

    def busy(self) -> bool:
        """Whether anything is admitted and not yet answered."""
        return any(line.backlog.entries for line in self._lines.values())

    async def submit(self, request: Request) -> Answer:
        """Admit, wait for and return the answer; see `Submissions.submit`."""
        entry = self._put(request)
        try:
            return await entry.answer
        except (asyncio.CancelledError, TooLate) as error:
            if not entry.leased:
                self._emit(Dropped(request.model, "queue", expired=isinstance(error, TooLate)))
            raise
        finally:
            entry.leave()

    def _put(self, request: Request) -> _Entry:
        line = self._lines.get(request.model)
        if line is None or line.closed:
            raise NotReady(f"model {request.model} is not served here")
        now = self._now()
        try:
            admit(line.backlog, self._limits, len(request.image), request.deadline - now, request.priority)
        except Overloaded as error:
            self._emit(Rejected(request.model.name, error.reason))
            raise
        self._courtesy.asked(request.priority, now)
        return _Entry(line, request, now)

    async def lease(self, model: ModelKey, limit: Callable[[int], int]) -> Sequence[Lease]:
        """Wait until something is queued, then take `limit(waiting)` of it; see `Work.lease`. 0 waits for more."""
        while line := self._lines.get(model):
            now = self._now()
            if taken := line.waiting.take(limit, now, line.backlog.pace.service_s):
                if leases := [entry.lease(now) for entry in taken if not entry.late(now)]:
                    return leases
            elif line.closed and not line.waiting:
                del self._lines[model]
                line.wake_all()
            else:
                await line.wait()
        return ()

    def settle(self, outcomes: Sequence[tuple[Lease, Outcome]]) -> None:
        """Hand each outcome to its caller; a caller that left costs the others nothing."""
        now = self._now()
        for lease, outcome in outcomes:
            _entry_of(lease).settle(outcome)
        lead = outcomes[0][0]
        first = _entry_of(lead)
        began = lead.begun_s or first.leased_at  # a batch that was taken ahead has waited for its lane
        first.line.backlog.pace.served(computed(outcome for _, outcome in outcomes), now - began)


class _Line:
    """What waits for one model version, and the lanes that wait for it."""

    __slots__ = ("backlog", "closed", "idle", "waiting")

    def __init__(self, backlog: Backlog, waiting: Turns[_Entry]) -> None:
        self.backlog = backlog
        self.closed = False
        self.waiting = waiting
        self.idle: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        """Until `wake`; a lane that is cancelled just as it is woken passes the call on."""
        waiter = asyncio.get_running_loop().create_future()
        self.idle.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self.wake()
            raise

    def wake_all(self) -> None:
        """Wake every idle lane, to look whether anything is still to come."""
        while self.wake():
            pass

    def wake(self) -> bool:
        """Wake one idle lane, if there is one."""
        while self.idle:
            waiter = self.idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return True
        return False


class _Entry:
    """One request in a line, from admission until its caller has left."""

    __slots__ = ("answer", "leased", "leased_at", "line", "queued_at", "request", "timer")

    def __init__(self, line: _Line, request: Request, now: float) -> None:
        loop = asyncio.get_running_loop()
        self.line = line
        self.request = request
        self.queued_at = now
        self.leased: Lease | None = None
        self.leased_at = 0.0
        self.answer: asyncio.Future[Answer] = loop.create_future()
        self.timer = None if request.deadline == NEVER else loop.call_later(request.deadline - now, self.expire)
        line.waiting.add(self, request.priority)
        line.wake()

    def late(self, now: float) -> bool:
        """Whether the deadline has passed; then the caller is told."""
        if self.request.late(now):
            self.expire()
        return self.answer.done()

    def expire(self) -> None:
        """The deadline has passed."""
        self.settle(TooLate("deadline: it passed before an answer was computed"))

    def lease(self, now: float) -> Lease:
        """Hand the request to a lane."""
        self.leased = Lease(self.request, now - self.queued_at, self)
        self.leased_at = now
        return self.leased

    def settle(self, outcome: Outcome) -> None:
        """Answer the caller, unless an answer was given already or the caller has left."""
        settle(self.answer, outcome)

    def leave(self) -> None:
        """The caller takes the answer or gives up waiting for it; either way nothing is kept."""
        if self.timer:
            self.timer.cancel()
        if self.leased:
            self.leased.gone = True
        self.line.waiting.discard(self, self.request.priority)
        self.line.backlog.remove(len(self.request.image), self.request.priority)


def _entry_of(lease: Lease) -> _Entry:
    assert isinstance(lease.token, _Entry)
    return lease.token
