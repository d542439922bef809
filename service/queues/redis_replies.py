"""The stream that one front-end's answers come by: kept while it lives, read from where it was."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

from service.queues import scripts
from service.queues.keys import Keys
from service.queues.redis_link import Arg, Link

_AT_ONCE = 512


class Replies:
    """`deliver(token, body)` is called for each answer. `lost` is set when answers may have been dropped.

    `name` is this front-end's, another one for each start. A worker's answer is dropped unless the stream is there:
    `greet` makes it, and lets it live for `life_s` seconds more.
    """

    def __init__(self, keys: Keys, commands: Link, life_s: float, deliver: Callable[[bytes, bytes], None]) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
        self._stream = keys.replies(self.name)
        self._commands = commands
        self._life_ms = int(life_s * 1000)
        self._deliver = deliver
        self._cursor: bytes = b"0-0"
        self.lost = False

    def greet(self) -> asyncio.Future[int]:
        """Say that this front-end lives."""
        reply = self._commands.run(scripts.GREET, [self._stream], self._life_ms, self._cursor)
        reply.add_done_callback(self._greeted)
        return reply

    def _greeted(self, reply: asyncio.Future[int]) -> None:
        if not reply.cancelled() and reply.exception() is None and not reply.result():
            self._cursor = b"0-0"
            self.lost = True

    async def take(self, link: Link, *blocking: Arg) -> int:
        """Deliver what is there; how much that was."""
        reply = await link.send("XREAD", "COUNT", _AT_ONCE, *blocking, "STREAMS", self._stream, self._cursor)
        entries = reply[0][1] if reply else []
        for entry, pairs in entries:
            self._cursor = entry
            fields = dict(zip(pairs[::2], pairs[1::2], strict=True))
            if b"i" in fields:  # all but the stream's opening entry
                self._deliver(fields[b"i"], fields[b"b"])
        return len(entries)

    async def drop(self) -> None:
        """No more is expected."""
        await asyncio.gather(self._commands.send("DEL", self._stream), return_exceptions=True)  # or its TTL ends it
