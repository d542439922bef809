"""The prediction log: what is written, how long it stays, and how it is found again."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from service.core.access import Caller, Scope
from service.core.errors import InvalidInput, NoSuchPrediction, NotReady, Refused
from service.core.events import Event, PredictionLogged
from service.core.messages import Answer, ModelKey, Options, Payload, Prediction, Request, Timing
from service.core.ports import Depth
from service.core.records import PredictionRecord, from_json, to_json
from service.predictions.folder import MAX_WAITING, PredictionFolder
from service.predictions.logged import LoggedSubmissions
from service.security.gate import CALLER

KEY = ModelKey("digits", 3)
ANSWER = Answer("a", KEY, "d" * 64, (Prediction("nine", 9, 0.5),), (1.5,), Timing(1, 2, 3, 4, "cpu fp32"))
RECORD = PredictionRecord("a", 1000, "shop", KEY, Options(), ANSWER, "", 7, kept=True)


@dataclass
class Queue:
    failure: Exception | None = None

    async def submit(self, request: Request) -> Answer:
        if self.failure:
            raise self.failure
        return replace(ANSWER, id=request.id)

    def depth(self, model: ModelKey) -> Depth:
        return Depth(model.version, 0)


@dataclass
class Log:
    """Notes what it is given."""

    written: list[tuple[PredictionRecord, bytes]] = field(default_factory=list)

    def write(self, record: PredictionRecord, image: Payload) -> None:
        self.written.append((record, bytes(image)))

    async def find(self, id: str) -> tuple[PredictionRecord, bytes]:
        return next(each for each in self.written if each[0].id == id)


@pytest.fixture
def log() -> Log:
    return Log()


async def test_an_answer_is_logged_with_who_asked(log: Log) -> None:
    """And with its input, unless that is too large to be kept."""
    queue = LoggedSubmissions(Queue(), log, 1.0, max_image_bytes=7, wall=lambda: 1.0)
    CALLER.set(Caller("shop", frozenset({Scope.INFER})))
    await queue.submit(Request("a", KEY, b"picture"))
    await queue.submit(Request("b", KEY, b"larger picture"))

    assert log.written[0] == (RECORD, b"picture")
    assert [(record.id, record.size, record.kept) for record, _ in log.written] == [("a", 7, True), ("b", 14, False)]
    assert queue.depth(KEY) == Depth(3, 0)


async def test_a_failure_is_logged_too(log: Log) -> None:
    """The caller is told of it as before."""
    queue = LoggedSubmissions(Queue(NotReady("gone")), log, 1.0, 7)
    with pytest.raises(NotReady, match="gone"):
        await queue.submit(Request("", KEY, b"picture"))

    record, _ = log.written[0]
    assert (record.answer, record.error, len(record.id)) == (None, "NOT_READY: gone", 32)


async def test_a_share_is_logged(log: Log) -> None:
    """About a quarter of a thousand; of nothing, nothing."""
    for share, least, most in ((0.25, 180, 320), (0.0, 0, 0)):
        log.written.clear()
        queue = LoggedSubmissions(Queue(), log, share, 7)
        for _ in range(1000):
            await queue.submit(Request("a", KEY, b"picture"))
        assert least <= len(log.written) <= most


def test_a_record_survives_as_a_line() -> None:
    """One line of JSON; another one is refused."""
    assert b"\n" not in to_json(RECORD)
    assert from_json(to_json(RECORD)) == RECORD
    with pytest.raises(InvalidInput, match="record: "):
        from_json(b'{"id": 1}')


@dataclass
class Bench:
    folder: Path
    now: float = 0.0
    events: list[Event] = field(default_factory=list)

    def open(self, max_bytes: int = 10**6) -> PredictionFolder:
        return PredictionFolder(self.folder, max_bytes, 60, self.events.append, wall=lambda: self.now)

    async def written(self, *ids: str, max_bytes: int = 10**6, image: bytes = b"picture") -> None:
        """Log so many requests, one second after another, and close the log."""
        for number, name in enumerate(ids):
            async with self.open(max_bytes) as folder:
                folder.write(replace(RECORD, id=name), image)
            for path in (self.folder / "inputs").iterdir():
                if path.stat().st_mtime > 10**6:
                    os.utime(path, (number, number))

    @property
    def lines(self) -> list[str]:
        return [json.loads(line)["id"] for line in (self.folder / "predictions.jsonl").read_text().splitlines()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "predictions")


async def refused(find: Callable[[str], Awaitable[object]], id: str) -> bool:
    try:
        await find(id)
    except NoSuchPrediction:
        return True
    return False


async def test_what_was_logged_is_found_after_a_restart(bench: Bench) -> None:
    """With its input, byte for byte; ids are the callers' choice, and may look like paths. Others cannot read it."""
    await bench.written("../../etc/passwd", image=b"line\nline\n\0")
    async with bench.open() as folder:
        assert await folder.find("../../etc/passwd") == (replace(RECORD, id="../../etc/passwd"), b"line\nline\n\0")
        with pytest.raises(NoSuchPrediction, match="no prediction 'other' is kept"):
            await folder.find("other")

    assert bench.lines == ["../../etc/passwd"]
    assert bench.events == [PredictionLogged("digits", "written")]
    assert (bench.folder / "inputs").stat().st_mode & 0o077 == 0


async def test_an_input_lives_for_its_time(bench: Bench) -> None:
    """It cannot be found afterwards, and the next one that is logged sweeps it away; its line stays."""
    await bench.written("a", "b")
    bench.now = 60.5
    async with bench.open() as folder:
        assert [await refused(folder.find, name) for name in "ab"] == [True, False]
    await bench.written("c")

    assert len(list((bench.folder / "inputs").iterdir())) == 2
    assert bench.lines == ["a", "b", "c"]


async def test_bytes_are_bounded(bench: Bench) -> None:
    """The oldest inputs leave."""
    await bench.written("a", "b", "c", max_bytes=2500, image=b"x" * 700)
    async with bench.open() as folder:
        assert [await refused(folder.find, name) for name in "abc"] == [True, False, False]


async def test_too_much_at_once_is_dropped(bench: Bench) -> None:
    """And counted: a log must not hold up what it tells of."""
    async with bench.open() as folder:
        for number in range(MAX_WAITING + 3):
            folder.write(replace(RECORD, id=str(number), kept=False), b"not kept")
        assert bench.events == [PredictionLogged("digits", "dropped")] * 3
    async with bench.open() as folder:
        assert await folder.find("0") == (replace(RECORD, id="0", kept=False), b"")


async def test_a_folder_that_cannot_be_is_refused(bench: Bench) -> None:
    """Naming the setting."""
    bench.folder.write_text("a file")
    with pytest.raises(Refused, match="prediction_dir: cannot make"):
        await bench.open().__aenter__()
