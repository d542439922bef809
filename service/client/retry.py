"""When to try again: a pure decision. Classification changes nothing, so repeating it is always safe."""

from __future__ import annotations

from dataclasses import dataclass

from service.core.errors import NotReady, Overloaded, ServiceError


@dataclass(frozen=True, slots=True)
class Retry:
    """Exponential backoff with full jitter on top of the delay that the server asked for.

    One call waits `budget_s` seconds in all at most; 0 never retries. Only `Overloaded` and `NotReady` are worth it:
    every other error would come again.
    """

    budget_s: float = 10.0
    first_s: float = 0.1
    longest_s: float = 5.0

    def wait_s(self, error: ServiceError, attempt: int, waited_s: float, jitter: float) -> float | None:
        """Seconds until attempt `attempt + 1` (from 0), None to give up; `jitter` is a random number in 0..1."""
        if not isinstance(error, Overloaded | NotReady):
            return None
        asked_s = error.retry_after_s if isinstance(error, Overloaded) else 0.0
        wait_s = asked_s + jitter * min(self.longest_s, self.first_s * 2**attempt)
        return wait_s if waited_s + wait_s <= self.budget_s else None
