"""Resolves host names on threads that nobody waits for: how long a silent name server is asked, the system decides."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future

from service.core.access import is_address

_asked: dict[str, Future[str]] = {}  #: why the name cannot be resolved; "" when it can
_lock = threading.Lock()


async def resolved(host: str) -> None:
    """Wait until `host` is an address or known to have one; however many wait, it is asked for once. Raises `OSError`.

    The event loop would resolve it as well, but waits for all of its own threads in the end: with dozens of questions
    in line for a server that does not answer, the process could not stop for a minute.
    """
    if is_address(host):
        return
    if failure := await asyncio.shield(asyncio.wrap_future(_ask(host))):
        raise OSError(f"the name {host!r} cannot be resolved: {failure}")


def _ask(host: str) -> Future[str]:
    with _lock:
        if host not in _asked:
            asked: Future[str] = Future()
            asked.set_running_or_notify_cancel()  # from now on nobody can cancel it for the others
            _asked[host] = asked
            threading.Thread(target=_resolve, args=(host, asked), name=f"resolve {host}", daemon=True).start()
        return _asked[host]


def _resolve(host: str, asked: Future[str]) -> None:
    failure = ""
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError) as error:
        failure = str(error)
    with _lock:
        del _asked[host]
    asked.set_result(failure)
