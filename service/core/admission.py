"""Whether one more request may wait: the queue's bounds and the wait that is to be expected."""

from __future__ import annotations

from dataclasses import dataclass

from service.core.errors import Overloaded, Reason

#: Weight of the newest batch in the running mean of service times.
_NEWEST = 0.1
#: Bounds of the delay that a refused caller is asked to keep, in seconds.
_MIN_RETRY_S, _MAX_RETRY_S = 0.05, 5.0


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """What one model version may have admitted and not yet answered: entries, and bytes of their pictures."""

    max_entries: int = 4096
    max_bytes: int = 256 * 2**20


@dataclass(slots=True)
class Backlog:
    """What is admitted and unanswered, and how fast `lanes` lanes have been working it off."""

    lanes: int
    entries: int = 0
    bytes: int = 0
    service_s: float = 0.0  #: running mean of one lane's time per item; 0 until the first batch

    def add(self, size: int) -> None:
        """One request of `size` bytes was admitted."""
        self.entries += 1
        self.bytes += size

    def remove(self, size: int) -> None:
        """One request of `size` bytes was answered or withdrawn."""
        self.entries -= 1
        self.bytes -= size

    def served(self, items: int, took_s: float) -> None:
        """One lane worked `items` items off in `took_s` seconds."""
        mean_s = took_s / items
        self.service_s += (mean_s - self.service_s) * (_NEWEST if self.service_s else 1.0)

    def wait_s(self) -> float:
        """The wait that a request admitted now is to expect, in seconds."""
        return self.entries * self.service_s / self.lanes


def admit(backlog: Backlog, limits: QueueLimits, size: int, left_s: float) -> None:
    """Admit a request of `size` bytes with `left_s` seconds to its deadline, or raise `Overloaded` saying why."""
    wait_s = backlog.wait_s()
    retry_s = min(max(wait_s / 2, _MIN_RETRY_S), _MAX_RETRY_S)
    if backlog.entries >= limits.max_entries:
        message = f"queue: at most {limits.max_entries} requests may wait, got {backlog.entries + 1}"
        raise Overloaded(Reason.FULL, f"{message}; the estimated wait is {wait_s:.2f} s", retry_s)
    if backlog.bytes + size > limits.max_bytes:
        message = f"queue: at most {limits.max_bytes} bytes may wait, got {backlog.bytes + size}"
        raise Overloaded(Reason.BYTES, f"{message}; the estimated wait is {wait_s:.2f} s", retry_s)
    if wait_s > left_s:
        message = f"deadline: the estimated wait of {wait_s:.2f} s is longer than the {left_s:.2f} s left"
        raise Overloaded(Reason.LATE, message, retry_s)
    backlog.add(size)
