"""Whole models in uint8, one after another, until the input ends: `python -m tests.bench.dumps SERVER MODEL PICTURE`.

For each that was finished a line: its bytes. It steps back behind everything else on this host, since whoever debugs a
server does so from another one; the server's own part of the work has the priority that the server gives it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from service.client import AsyncClient, Encoding, Kind, MapsRequest, Picture
from service.client.feature_maps import LayerMaps

_LAST = 19


@contextlib.contextmanager
def dumping(server: str, model: str, picture: Path) -> Iterator[list[int]]:
    """Dumps while the block runs; the bytes of each that was finished are there when it has ended."""
    command = [sys.executable, "-m", "tests.bench.dumps", server, model, str(picture)]
    taken: list[int] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield taken
        out, _ = process.communicate()  # closes its input
    if process.returncode:
        raise RuntimeError(f"{command} ended with exit code {process.returncode}")
    taken.extend(int(line) for line in out.split())


async def dump(server: str, model: str, picture: bytes, over: threading.Event) -> None:
    """Until `over`."""
    request = MapsRequest(model, 0, (Picture(picture),), encoding=Encoding(Kind.UINT8))
    async with AsyncClient(server, timeout_s=600) as client:
        await client.models()
        print("ready", flush=True)
        while not over.is_set():
            size = 0
            async for part in client.maps(request):
                if over.is_set():
                    return
                size += len(part.data) if isinstance(part, LayerMaps) else 0
            print(size, flush=True)


def main() -> None:
    """What the arguments say."""
    server, model, picture = sys.argv[1:]
    os.nice(_LAST)
    over = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    asyncio.run(dump(server, model, Path(picture).read_bytes(), over))


if __name__ == "__main__":
    main()
