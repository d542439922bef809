"""A prediction log in a folder: lines of JSON for people and tools, and for a while a file for each kept input."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import structlog

from service.core.errors import NoSuchPrediction, Refused
from service.core.events import Emit, PredictionLogged
from service.core.messages import Payload
from service.core.records import PredictionRecord, from_json, to_json

#: Records that may wait for the disk; more are dropped, since a log must not hold up what it tells of.
MAX_WAITING = 256
#: Bytes after which the file of lines is put aside as `.1`, in place of the one put aside before.
ROTATE_BYTES = 64 * 2**20

_log = structlog.get_logger("vitrine.predictions")


class PredictionFolder:
    """`PredictionLog` in `folder`; an async context manager.

    Inputs are kept for `ttl_s` seconds, of at most `max_bytes` together: the oldest leave. `wall` is in seconds since
    1970, as the times of files are.
    """

    def __init__(
        self, folder: Path, max_bytes: int, ttl_s: float, emit: Emit, wall: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder
        self._inputs = folder / "inputs"
        self._lines = folder / "predictions.jsonl"
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._emit = emit
        self._wall = wall
        self._waiting: asyncio.Queue[tuple[PredictionRecord, bytes] | None] = asyncio.Queue()
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Make the folder, which nobody else may read. Raises `Refused`."""
        try:
            self._inputs.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Refused(f"prediction_dir: cannot make {self._inputs}: {error.strerror}") from None
        self._writer = asyncio.create_task(self._write_for_ever(), name="prediction log")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Write what waits."""
        assert self._writer is not None
        self._waiting.put_nowait(None)
        await self._writer

    def write(self, record: PredictionRecord, image: Payload) -> None:
        """Keep a record soon; see `PredictionLog.write`."""
        if self._waiting.qsize() >= MAX_WAITING:
            self._emit(PredictionLogged(record.model.name, "dropped"))
        else:
            self._waiting.put_nowait((record, bytes(image) if record.kept else b""))

    async def find(self, id: str) -> tuple[PredictionRecord, bytes]:
        """The newest record under an id, and its input. Raises `NoSuchPrediction`."""
        return await asyncio.to_thread(self._find, id)

    async def _write_for_ever(self) -> None:
        while (item := await self._waiting.get()) is not None:
            try:
                await asyncio.to_thread(self._keep, *item)
            except OSError as error:
                _log.error("a prediction could not be logged", folder=str(self._folder), reason=str(error))
                self._emit(PredictionLogged(item[0].model.name, "failed"))
            else:
                self._emit(PredictionLogged(item[0].model.name, "written"))

    def _keep(self, record: PredictionRecord, image: bytes) -> None:
        line = to_json(record) + b"\n"
        path = self._path(record.id)
        hidden = path.with_suffix(".new")
        hidden.write_bytes(line + image)
        hidden.replace(path)
        self._sweep()
        with self._lines.open("ab") as file:
            file.write(line)
            full = file.tell() >= ROTATE_BYTES
        if full:
            self._lines.replace(self._lines.with_suffix(".jsonl.1"))

    def _find(self, id: str) -> tuple[PredictionRecord, bytes]:
        path = self._path(id)
        try:
            line, _, image = path.read_bytes().partition(b"\n")
            old = self._old(path.stat())
        except FileNotFoundError:
            old = True
        if old:
            raise NoSuchPrediction(f"id: no prediction {id!r} is kept; it was not sampled, or its time is over")
        return from_json(line), image

    def _sweep(self) -> None:
        """Let go what is too old, and the oldest of what is too much."""
        found = sorted(
            ((entry.stat(), entry.path) for entry in os.scandir(self._inputs)), key=lambda e: e[0].st_mtime_ns
        )
        held = sum(stat.st_size for stat, _ in found)
        for stat, path in found:
            if held <= self._max_bytes and not self._old(stat):
                return
            Path(path).unlink()
            held -= stat.st_size

    def _old(self, stat: os.stat_result) -> bool:
        return stat.st_mtime + self._ttl_s <= self._wall()

    def _path(self, id: str) -> Path:
        """Callers choose their ids: the file is named by a digest."""
        return self._inputs / hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()
