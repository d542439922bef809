"""A way to Redis that breaks: what a network does to connections, done between two real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Self


class Proxy:
    """Passes bytes between TCP clients and the unix socket of a server, until it is told to break something."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._open = asyncio.Event()
        self._cuts = 0
        self.delay_s = 0.0  #: of every piece, in both directions
        self.port = 0

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        self._open.set()
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Break what is left."""
        assert self._server is not None
        self._server.close()
        self.pass_on()
        while self._pairs:
            self.reset()
            await asyncio.sleep(0.01)

    @property
    def url(self) -> str:
        """What clients are given."""
        return f"redis://127.0.0.1:{self.port}"

    def reset(self) -> None:
        """Break every connection at once, with RST where bytes are under way."""
        for pair in self._pairs:
            for writer in pair:
                writer.transport.abort()

    def say(self, data: bytes) -> None:
        """Send clients what the server has not sent."""
        for writer, _ in self._pairs:
            writer.write(data)

    def swallow(self) -> None:
        """From now on nothing passes, and nobody is told: no FIN, no RST."""
        self._open.clear()

    def pass_on(self) -> None:
        """Let bytes pass again, those that were held up included."""
        self._open.set()

    def cut(self, replies: int) -> None:
        """Of the next so many pieces of replies pass one half, then break the connection."""
        self._cuts = replies

    @property
    def cuts_left(self) -> int:
        """Pieces that are still to be cut."""
        return self._cuts

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_unix_connection(str(self._target))
        except OSError:  # the server is down, as its clients are to see
            writer.transport.abort()
            return
        pair = (writer, back)
        self._pairs.add(pair)
        ways = {
            asyncio.create_task(self._pass(reader, back, cuts=False)),
            asyncio.create_task(self._pass(there, writer, cuts=True)),
        }
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for each in pair:
            each.transport.abort()
        await asyncio.wait(ways)
        self._pairs.discard(pair)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, cuts: bool) -> None:
        try:
            while data := await reader.read(2**16):
                await self._open.wait()
                await asyncio.sleep(self.delay_s)
                if cuts and self._cuts > 0:
                    self._cuts -= 1
                    writer.write(data[: len(data) // 2])
                    await writer.drain()
                    return
                writer.write(data)
                await writer.drain()
        except OSError:
            return  # this connection is broken: that is what it is for
