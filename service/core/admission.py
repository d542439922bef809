"""Whether one more request may wait: the queue's bounds and the wait that is to be expected."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from service.core.errors import BadImage, Cancelled, Overloaded, Reason, TooLate
from service.core.messages import Outcome, Priority

#: Weight of the newest batch in the running mean of service times.
_NEWEST = 0.1
#: An estimate is a mean; who is admitted on the strength of it alone is late half of the time.
_CAUTION = 1.25
#: Bounds of the delay that a refused caller is asked to keep, in seconds.
_MIN_RETRY_S, _MAX_RETRY_S = 0.05, 5.0


_DROPPED = (BadImage, Cancelled, TooLate)


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """What one model version may have admitted and not yet answered: entries, and bytes of their pictures.

    Entries are counted beside those that are as urgent: bulk work shuts nobody out who asks online.
    """

    max_entries: int = 4096
    max_bytes: int = 256 * 2**20


@dataclass(slots=True)
class Pace:
    """How fast hands have been working."""

    service_s: float = 0.0  #: running mean of one hand's time per item; 0 until the first batch

    def served(self, items: int, took_s: float) -> None:
        """One hand was done with `items` items in `took_s` seconds; none where all of them had been dropped."""
        if not items:
            return
        mean_s = took_s / items
        self.service_s += (mean_s - self.service_s) * (_NEWEST if self.service_s else 1.0)


@dataclass(slots=True)
class Backlog:
    """What is admitted and unanswered, and how fast so many hands have been working it off."""

    hands: int
    counts: list[int] = field(default_factory=lambda: [0] * len(Priority))  #: entries of each priority
    bytes: int = 0
    pace: Pace = field(default_factory=Pace)

    @property
    def entries(self) -> int:
        """Entries of all priorities."""
        return sum(self.counts)

    def ahead(self, priority: Priority) -> int:
        """Entries that are as urgent as this."""
        return sum(self.counts[: priority + 1])

    def add(self, size: int, priority: Priority) -> None:
        """One request of `size` bytes was admitted."""
        self.counts[priority] += 1
        self.bytes += size

    def remove(self, size: int, priority: Priority) -> None:
        """One request of `size` bytes was answered or withdrawn."""
        self.counts[priority] -= 1
        self.bytes -= size

    def wait_s(self, priority: Priority) -> float:
        """The wait that a request admitted now is to expect, in seconds, rather too long than too short.

        Less urgent ones do not stand in its way.
        """
        return _CAUTION * self.ahead(priority) * self.pace.service_s / self.hands


def computed(outcomes: Iterable[Outcome]) -> int:
    """How many outcomes cost a computation: what was dropped on the way took no time and must not look quick."""
    return sum(not isinstance(outcome, _DROPPED) for outcome in outcomes)


def admit(backlog: Backlog, limits: QueueLimits, size: int, left_s: float, priority: Priority) -> None:
    """Admit a request of `size` bytes with `left_s` seconds to its deadline, or raise `Overloaded` saying why."""
    ahead, wait_s = backlog.ahead(priority), backlog.wait_s(priority)
    reason = None
    if ahead >= limits.max_entries:
        reason = Reason.FULL
    elif backlog.bytes + size > limits.max_bytes:
        reason = Reason.BYTES
    elif wait_s > left_s:
        reason = Reason.LATE
    if reason is not None:
        raise refusal(reason, limits, Load(ahead, backlog.bytes, wait_s), size, left_s)
    backlog.add(size, priority)


@dataclass(frozen=True, slots=True)
class Load:
    """What a queue held when it refused: entries as urgent, bytes of all, and the wait to be expected, in seconds."""

    entries: int
    bytes: int
    wait_s: float


def refusal(reason: Reason, limits: QueueLimits, load: Load, size: int, left_s: float) -> Overloaded:
    """Why a request of `size` bytes with `left_s` seconds to its deadline is not admitted, for its caller."""
    estimate = f"the estimated wait is {load.wait_s:.2f} s"
    match reason:
        case Reason.FULL:
            message = f"queue: at most {limits.max_entries} requests may wait, got {load.entries + 1}; {estimate}"
        case Reason.BYTES:
            message = f"queue: at most {limits.max_bytes} bytes may wait, got {load.bytes + size}; {estimate}"
        case Reason.LATE:
            message = f"deadline: the estimated wait of {load.wait_s:.2f} s is longer than the {left_s:.2f} s left"
        case _:
            message = "queue: no worker serves this model version just now"
    return Overloaded(reason, message, min(max(load.wait_s / 2, _MIN_RETRY_S), _MAX_RETRY_S))
