"""What the Redis clock reads, told from this process's monotonic clock: nobody's wall clock matters."""

from __future__ import annotations

from service.core.messages import NEVER


class ServerClock:
    """Learns the distance between both clocks from readings, and translates."""

    def __init__(self) -> None:
        self._offset_s: float | None = None

    def observe(self, asked_s: float, server_ms: int, answered_s: float) -> None:
        """Redis read `server_ms` at some time between `asked_s` and `answered_s` of the monotonic clock."""
        self._offset_s = server_ms / 1000 - (asked_s + answered_s) / 2

    def local(self, server_ms: int) -> float:
        """The monotonic time, in seconds, at which Redis reads `server_ms`; `NEVER` for 0."""
        assert self._offset_s is not None
        return server_ms / 1000 - self._offset_s if server_ms else NEVER
