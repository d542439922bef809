"""`https://`, from hosts that are allowed, at addresses that are public, through a few checked redirects at most."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Self
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from service.core.errors import InvalidInput, NotReady, Refused
from service.core.uris import UriRules, allowed, reachable

_MAX_REDIRECTS = 3
_READ_BYTES = 2**16
_REDIRECTS = frozenset((301, 302, 303, 307, 308))


class _PublicOnly(AbstractResolver):
    """Names resolve to addresses that may be reached: what was checked is what is connected to."""

    def __init__(self, *, private: bool) -> None:
        self._private = private
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host` that may be reached; raises `OSError` when there are none."""
        found = await self._inner.resolve(host, port, family)
        public = [one for one in found if reachable(one["host"], private=self._private)]
        if not public:
            raise OSError(errno.EADDRNOTAVAIL, f"{host} has no public address")
        return public

    async def close(self) -> None:
        """Nothing is kept."""
        await self._inner.close()


class HttpsReader:
    """One pool of connections; an async context manager. `context` decides whom to trust."""

    def __init__(
        self, rules: UriRules, max_bytes: int, timeout_s: float, context: ssl.SSLContext | None = None
    ) -> None:
        self._rules = rules
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._context = context or ssl.create_default_context()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Connect when asked to."""
        connector = aiohttp.TCPConnector(
            resolver=_PublicOnly(private=self._rules.private), ssl=self._context, use_dns_cache=False
        )
        # Neither proxies of the environment, nor cookies, nor bodies that grow when they are unpacked.
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "vitrine"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close what is open."""
        assert self._session is not None
        await self._session.close()

    async def read(self, uri: str) -> bytes:
        """The body. Raises `Refused`, `InvalidInput`, or `NotReady` when trying again may help."""
        here = uri
        try:
            for _ in range(_MAX_REDIRECTS + 1):
                allowed(here, self._rules)
                body, elsewhere = await self._get(here)
                if elsewhere is None:
                    return body
                here = urljoin(here, elsewhere)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NotReady(f"uri: {uri} cannot be fetched: {error or 'no answer in time'}") from None
        raise Refused(f"uri: {uri} leads through more than {_MAX_REDIRECTS} redirects")

    async def _get(self, uri: str) -> tuple[bytes, str | None]:
        """The body, or where to look instead."""
        assert self._session is not None
        async with self._session.get(uri, allow_redirects=False) as response:
            if response.status in _REDIRECTS:
                return b"", response.headers.get("Location", "")
            if response.status >= 500 or response.status == 429:
                raise NotReady(f"uri: {uri} cannot be fetched: status {response.status}")
            if response.status != 200:
                raise InvalidInput("uri", f"a picture that is there (status {response.status})", uri)
            return await self._body(uri, response), None

    async def _body(self, uri: str, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for part in response.content.iter_chunked(_READ_BYTES):
            body += part
            if len(body) > self._max_bytes:
                raise InvalidInput("uri", f"at most {self._max_bytes} bytes", f"{uri}, which has more")
        return bytes(body)
