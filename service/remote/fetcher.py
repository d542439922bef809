"""The picture at a URI, whatever its scheme."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from service.core.errors import NotReady, Refused
from service.core.uris import Target, UriRules, allowed
from service.remote.files import read_below
from service.remote.objects import read_object

_AT_ONCE = 32
_ATTEMPTS, _FIRST_PAUSE_S = 3, 0.5
_TIMEOUT_S = 20.0


class UriFetcher:
    """Fetches what `rules` allow, at most `max_bytes` bytes each. An async context manager.

    `https` reads https:// URIs; it is made of aiohttp when that is installed and none is given.
    """

    def __init__(
        self, rules: UriRules, max_bytes: int, *, https: Callable[[str], Awaitable[bytes]] | None = None
    ) -> None:
        self._rules = rules
        self._max_bytes = max_bytes
        self._https = https
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Make ready for https:// where it is allowed."""
        if self._rules.hosts and self._https is None and find_spec("aiohttp") is not None:
            from service.remote.https import HttpsReader  # noqa: PLC0415 - an extra

            reader = await self._stack.enter_async_context(HttpsReader(self._rules, self._max_bytes, _TIMEOUT_S))
            self._https = reader.read
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close connections."""
        await self._stack.aclose()

    async def __call__(self, uri: str) -> bytes:
        """The bytes at `uri`. Raises `InvalidInput`, `Refused`, or `NotReady` after a few attempts."""
        target = allowed(uri, self._rules)
        async with self._room:
            for attempt in range(_ATTEMPTS - 1):
                try:
                    return await self._read(target, uri)
                except NotReady:
                    await asyncio.sleep(_FIRST_PAUSE_S * 2**attempt)
            return await self._read(target, uri)

    async def _read(self, target: Target, uri: str) -> bytes:
        match target.scheme:
            case "file":
                return await asyncio.to_thread(read_below, Path(self._rules.root), target.path, self._max_bytes)
            case "https":
                if self._https is None:
                    raise Refused("uri: https:// needs aiohttp: pip install 'vitrine[remote]'")
                return await self._https(uri)
            case _:
                return await asyncio.to_thread(read_object, target.scheme, uri, self._max_bytes)
