"""How often one caller may ask: a token bucket for each. A decision only: the time is an argument."""

from __future__ import annotations

from collections import OrderedDict

#: Callers that are remembered; beyond, the one not seen for longest starts afresh.
MAX_CALLERS = 1024


class Allowance:
    """`per_minute` requests of one caller in the long run, a sixth of them at once. Not thread-safe."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._per_s = per_minute / 60
        self._most = max(1.0, per_minute / 6)
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens at a time; last seen is last

    def take(self, who: str, now: float) -> float:
        """Count one request: 0 if it is within the allowance, else the seconds until one will be."""
        tokens, then = self._held.pop(who, (self._most, now))
        tokens = min(self._most, tokens + (now - then) * self._per_s)
        allowed = tokens >= 1
        self._held[who] = (tokens - allowed, now)
        if len(self._held) > MAX_CALLERS:
            self._held.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self._per_s
