"""Closed-loop load over HTTP/1.1 from a process of its own: prints a Run as JSON.

`python -m tests.bench.peers.load '<Posts as JSON>'`. As light as a client in Python can be, in favour of the others:
the same bytes are sent each time, and of an answer no more is read than whether it is one.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from tests.bench.load import Clock, Run


@dataclass(frozen=True, slots=True)
class Posts:
    """`concurrency` POSTs of the file `body` are kept open for `seconds`."""

    port: int
    path: str
    body: str
    content_type: str
    concurrency: int
    seconds: float


async def measure(posts: Posts, body: bytes) -> Run:
    """Drive one load."""
    head = f"POST {posts.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {posts.content_type}\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    clock = Clock(posts.seconds)

    async def caller() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", posts.port)
        while clock.going():
            started = time.perf_counter()
            writer.write(request)
            if await _answered(reader):
                clock.ended(started)
            else:
                clock.failed += 1
        writer.close()

    await asyncio.gather(*(caller() for _ in range(posts.concurrency)))
    return clock.run()


async def _answered(reader: asyncio.StreamReader) -> bool:
    """Whether the answer is 200."""
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
    fields = dict(line.split(b": ", 1) for line in lines if line)
    if b"content-length" in fields:
        await reader.readexactly(int(fields[b"content-length"]))
    else:
        await reader.readuntil(b"\r\n0\r\n\r\n")  # chunked, and JSON has no such lines
    return status.split()[1] == b"200"


def main() -> None:
    """Measure what the first argument says."""
    posts = Posts(**json.loads(sys.argv[1]))
    print(json.dumps(asdict(uvloop.run(measure(posts, Path(posts.body).read_bytes())))))


if __name__ == "__main__":
    main()
