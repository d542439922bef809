"""What Redis promises to keep, as its settings say: looked at, not assumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from service.core.errors import Refused
from service.core.jobs import Durability
from service.queues.redis_checks import judge
from service.queues.redis_link import Link, Rejected

_LOOK_AGAIN_S = 5.0
_SETTINGS = ("appendonly", "appendfsync", "maxmemory-policy")


class DurabilityCheck:
    """Refuses what would be kept less well than `least`. Settings are read again every few seconds."""

    def __init__(self, link: Link, least: Durability, now: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._least = least
        self._now = now
        self._known: tuple[float, Durability] | None = None

    async def checked(self) -> Durability:
        """What is promised just now. Raises `Refused`, with the lines that mend it, when that is too little."""
        if self._known and self._now() - self._known[0] < _LOOK_AGAIN_S:
            return self._known[1]
        try:
            settings = await self._settings()
        except Rejected as error:  # managed services forbid it
            return self._judged(Durability.UNVERIFIED, str(error))
        promised = _promised(settings)
        mends = "; ".join(str(finding) for finding in judge(settings, jobs=True) if finding.fatal)
        self._judged(promised, mends)
        self._known = (self._now(), promised)
        return promised

    def _judged(self, promised: Durability, mends: str) -> Durability:
        if promised < self._least:
            raise Refused(
                f"jobs: what is accepted must be kept as {self._least.name}, and would be {promised.name}: {mends}"
            )
        return promised

    async def _settings(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in _SETTINGS:
            pairs = [part.decode() for part in await self._link.send("CONFIG", "GET", name)]
            found.update(zip(pairs[::2], pairs[1::2], strict=True))
        return found


def _promised(settings: Mapping[str, str]) -> Durability:
    if settings["appendonly"] != "yes" or settings["maxmemory-policy"] != "noeviction":
        return Durability.MEMORY
    return Durability.FSYNCED if settings["appendfsync"] == "always" else Durability.WRITTEN
