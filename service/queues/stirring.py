"""How tasks of one event loop wait for what another one brings about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Stirring:
    """Whoever changes something stirs, and all that wait look whether it was what they wait for.

    Looking stirs nobody: waiters that woke each other because they looked in vain would do so for ever.
    """

    def __init__(self) -> None:
        self._pulse = asyncio.Event()

    def stir(self) -> None:
        """Something has changed."""
        self._pulse.set()
        self._pulse.clear()

    async def until(self, true: Callable[[], object]) -> None:
        """Return once `true()` is; at once where it is already."""
        while not true():
            await self._pulse.wait()
