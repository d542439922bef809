"""Which Redis: one URL for a single server, for the master that Sentinels watch, or for a cluster.

    redis://[user:password@]host:port/0      rediss:// with TLS      unix:///path/of/socket
    redis+sentinel://[user:password@]host:port,host:port/name-of-the-master[/0]      rediss+sentinel://
    redis+cluster://[user:password@]host:port,host:port      rediss+cluster://

The query takes redis-py's connection options (`ssl_ca_certs=...`, `ssl_cert_reqs=none`) and `password_file=PATH`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import RedisError

from service.core.errors import InvalidInput
from service.queues.names import resolved

#: Image payloads are larger than redis-py's 32 KiB reads.
_READ_BYTES = 2**18
_CONNECT_S = 2.0
#: One Sentinel's name may take so long before the others are asked without it.
_RESOLVE_S = 1.0
_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")


class Server(Protocol):
    """Where the queue lives just now."""

    async def connection(self) -> AbstractConnection:
        """A new connection to the master, not connected yet. Raises `RedisError` or `OSError`."""

    async def moved(self, connection: AbstractConnection) -> bool:
        """Whether another server is known to be the master by now, of which this one need not know."""


@dataclass(frozen=True, slots=True)
class Standalone:
    """One server."""

    kind: Callable[..., AbstractConnection]
    options: dict[str, Any] = field(repr=False)

    async def connection(self) -> AbstractConnection:
        """To that server."""
        return await _made(self.kind, self.options)

    async def moved(self, connection: AbstractConnection) -> bool:  # noqa: ARG002 - there is only one
        """Never."""
        return False


@dataclass(frozen=True, slots=True)
class Watched:
    """The master called `master`, as Sentinels know it."""

    kind: Callable[..., AbstractConnection]
    options: dict[str, Any] = field(repr=False)
    sentinels: tuple[tuple[str, int], ...]
    master: str

    async def connection(self) -> AbstractConnection:
        """To the server that is the master now."""
        host, port = await self._master()
        return await _made(self.kind, {**self.options, "host": host, "port": port})

    async def moved(self, connection: AbstractConnection) -> bool:
        """Whether the Sentinels have promoted another one: the old master takes writes for up to 10 s more, in vain."""
        try:
            host, port = await self._master()
        except (RedisError, OSError):
            return False  # nobody knows better
        return isinstance(connection, Connection) and (connection.host, connection.port) != (host, port)

    async def _master(self) -> tuple[str, int]:
        there = await asyncio.gather(*(_has_address(host) for host, _ in self.sentinels))
        sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py
            list(compress(self.sentinels, there)), sentinel_kwargs={"socket_timeout": _CONNECT_S, "retry": _once()}
        )
        try:
            host, port = await sentinel.discover_master(self.master)
        finally:
            for client in sentinel.sentinels:
                await client.aclose()
        return host, int(port)


@dataclass(frozen=True, slots=True)
class Clustered:
    """The node of a cluster that owns the slot of `tag`, in which all our keys lie."""

    kind: Callable[..., AbstractConnection]
    options: dict[str, Any] = field(repr=False)
    nodes: tuple[tuple[str, int], ...]
    tag: str

    async def connection(self) -> AbstractConnection:
        """To the owner, as the first node that answers knows it."""
        slot = key_slot(self.tag.encode())
        for host, port in self.nodes:
            try:
                ranges = await self._ask(host, port)
            except (RedisError, OSError):
                continue  # the next seed may be up; with none left the error below says so
            for first, last, master, *_ in ranges:
                if first <= slot <= last:
                    owner = {"host": master[0].decode() or host, "port": int(master[1])}
                    return await _made(self.kind, {**self.options, **owner})
        raise ConnectionError(f"no node of the cluster knows who owns slot {slot}")

    async def moved(self, connection: AbstractConnection) -> bool:  # noqa: ARG002 - it says so itself
        """Never: a node that lost the slot answers MOVED."""
        return False

    async def _ask(self, host: str, port: int) -> Sequence[Any]:
        connection = await _made(self.kind, {**self.options, "host": host, "port": port})
        try:
            async with asyncio.timeout(_CONNECT_S):
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py
                await connection.send_command("CLUSTER", "SLOTS")
                ranges: Sequence[Any] = await connection.read_response()
        finally:
            await hang_up(connection)
        return ranges


async def _has_address(host: str) -> bool:
    """Whether it is worth while to ask a Sentinel there: others may know."""
    try:
        async with asyncio.timeout(_RESOLVE_S):
            await resolved(host)
    except (OSError, TimeoutError):
        return False
    return True


async def _made(kind: Callable[..., AbstractConnection], options: dict[str, Any]) -> AbstractConnection:
    if "host" in options:
        await resolved(options["host"])
    connection = kind(**options)
    if isinstance(connection, SSLConnection):
        await asyncio.to_thread(connection.ssl_context.get)  # reads certificates for 0.1 s, which the loop has not got
    return connection


async def hang_up(connection: AbstractConnection) -> None:
    """Close it. TLS takes leave of the other side, and does not wait for long when that is gone."""
    with contextlib.suppress(RedisError, OSError):  # it was broken already
        await connection.disconnect()


def parse(url: str, tag: str, password: str | None = None) -> Server:
    """The server that `url` names; `password` (from the environment) and `password_file` win over the URL's.

    Raises `InvalidInput`, which never repeats a password.
    """
    scheme = urlsplit(url).scheme
    if scheme not in _SCHEMES:
        raise InvalidInput("redis", f"a URL that begins with one of {', '.join(_SCHEMES)}", scheme or "no scheme")
    kind, options = _connection(url)
    file = options.pop("password_file", None)
    if file is not None:
        options["password"] = _read(Path(file))
    if password is not None:
        options["password"] = password
    if scheme.endswith("+sentinel"):
        return _watched(url, kind, options)
    if scheme.endswith("+cluster"):
        return Clustered(kind, options, _hosts(url, 6379), tag)
    return Standalone(kind, options)


def safe(url: str) -> str:
    """The URL without user, password and options, for messages."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _connection(url: str) -> tuple[type[AbstractConnection], dict[str, Any]]:
    parts = urlsplit(url)
    scheme, _, mode = parts.scheme.partition("+")
    single = parts._replace(scheme=scheme)
    if mode:  # hosts and path are ours to read; redis-py is asked about credentials, TLS and options only
        database = parts.path.split("/")[2] if mode == "sentinel" and parts.path.count("/") > 1 else "0"
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        single = single._replace(netloc=f"{user}host:1", path=f"/{database}")
    try:
        options: dict[str, Any] = dict(parse_url(single.geturl()))
    except ValueError as error:
        raise InvalidInput("redis", str(error), safe(url)) from None
    kind = options.pop("connection_class", Connection)
    if mode:
        del options["host"], options["port"]
    return kind, {**_DEFAULTS, **options, **_tcp(kind)}


#: redis-py retries commands by itself and times reads out, both of which lose work here: see redis_link.
_DEFAULTS: dict[str, Any] = {
    "protocol": 2,
    "socket_timeout": None,
    "socket_connect_timeout": _CONNECT_S,
    "socket_read_size": _READ_BYTES,
    "client_name": "vitrine",
}


def _once() -> Retry:
    return Retry(NoBackoff(), 0)


def _tcp(kind: type[AbstractConnection]) -> dict[str, Any]:
    return {"socket_keepalive": True} if issubclass(kind, Connection) else {}


def _watched(url: str, kind: Callable[..., AbstractConnection], options: dict[str, Any]) -> Watched:
    master = urlsplit(url).path.strip("/").split("/")[0]
    if not master:
        raise InvalidInput("redis", "redis+sentinel://host:port/NAME with the name of the master", safe(url))
    return Watched(kind, options, _hosts(url, 26379), master)


def _hosts(url: str, default_port: int) -> tuple[tuple[str, int], ...]:
    hosts = []
    for address in urlsplit(url).netloc.rpartition("@")[2].split(","):
        host, colon, port = address.rpartition(":")
        if colon and not port.isdigit():
            raise InvalidInput("redis", "HOST:PORT, separated by commas", address)
        hosts.append((host.strip("[]"), int(port)) if colon else (address, default_port))
    return tuple(hosts)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise InvalidInput("redis", f"password_file must be readable ({error.strerror})", path) from None
