"""Which pictures: files as named, folders recursively, `-` for paths from stdin; never a list of them all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

#: What is taken from a folder; a file that is named is taken whatever its name.
EXTENSIONS = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"))
STDIN = "-"
#: Lines read from stdin ahead of the pictures in flight.
LINES_AHEAD = 256


def pictures(path: str) -> Iterator[str]:
    """The file itself, or the pictures anywhere below the folder, in the order of their names.

    A folder that cannot be listed is given as if it were a picture, so that it is named among the failures.
    """
    if not Path(path).is_dir():
        yield path
        return
    denied: list[str] = []
    for folder, folders, files in os.walk(path, onerror=lambda error: denied.append(str(error.filename))):
        folders.sort()
        yield from (str(Path(folder, name)) for name in sorted(files) if Path(name).suffix.lower() in EXTENSIONS)
    yield from denied


def count(paths: Iterable[str]) -> int:
    """How many pictures `paths` stand for; reads folders, not files."""
    return sum(1 for path in paths for _ in pictures(path))


async def each(paths: Sequence[str], stdin: TextIO) -> AsyncIterator[str]:
    """Every picture of `paths`; those that stdin names as they come."""
    for path in paths:
        if path == STDIN:
            async for line in _lines(stdin):
                for picture in pictures(line):
                    yield picture
        else:
            for picture in pictures(path):
                yield picture


async def _lines(stream: TextIO) -> AsyncIterator[str]:
    """The lines of a stream that may block, empty ones left out.

    Read on a thread that nobody joins: a read that waits for a person cannot be interrupted, and must hold up neither
    the loop nor the end of the process.
    """
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | Exception | None] = asyncio.Queue()
    room = threading.Semaphore(LINES_AHEAD)

    def tell(line: str | Exception | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody reads on
            loop.call_soon_threadsafe(lines.put_nowait, line)

    def read() -> None:
        try:
            for line in stream:
                room.acquire()
                tell(line.rstrip("\r\n"))
            tell(None)
        except (OSError, ValueError) as error:
            tell(error)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    while (line := await lines.get()) is not None:
        if isinstance(line, Exception):
            raise line
        room.release()
        if line:
            yield line
