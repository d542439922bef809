"""The asking side, before anything is queued."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from service.core.errors import BadImage, Code, NoSuchModel, NotReady, Overloaded, Reason, ServiceError
from service.core.events import Event, RequestDone
from service.core.image import Limits
from service.core.messages import NEVER, Answer, ModelKey, Options, Priority, Request, Timing
from service.core.ports import Depth
from service.dispatch import Dispatcher
from tests.unit.service.pictures import LIGHT

TIMING = Timing(0, 0, 0, 1, "cpu fp32")
REFUSED = b"\1\2\3\4"


@dataclass
class FakeQueue:
    """Answers at once, or never while held."""

    held: bool = False
    asked: list[Request] = field(default_factory=list)

    async def submit(self, request: Request) -> Answer:
        self.asked.append(request)
        if self.held:
            await asyncio.Event().wait()
        if request.image == REFUSED:
            raise Overloaded(Reason.FULL, "queue: full", 1.0)
        return Answer(request.id, request.model, "d", (), (), TIMING)

    def depth(self, model: ModelKey) -> Depth:
        del model
        return Depth(0, 0)


@dataclass
class Bench:
    """A dispatcher in front of a fake queue; the model is called tiny, and its latest version is 7."""

    queue: FakeQueue = field(default_factory=FakeQueue)
    events: list[Event] = field(default_factory=list)
    dispatcher: Dispatcher = field(init=False)

    def __post_init__(self) -> None:
        self.dispatcher = Dispatcher(
            self.resolve, self.queue, Limits(max_bytes=1000), self.events.append, now=lambda: 5.0
        )

    def resolve(self, name: str, version: int) -> ModelKey:
        if name != "tiny":
            raise NoSuchModel(f"model: no model is called {name!r}")
        return ModelKey(name, version or 7)

    async def classify(self, image: bytes = LIGHT, model: str = "tiny", version: int = 0) -> Answer:
        """Ask for one picture."""
        return await self.dispatcher.classify(
            id="a", model=model, version=version, image=image, options=Options(), deadline=NEVER, method="Classify"
        )

    async def classify_all(self, *images: bytes, pixels: bool = False) -> Sequence[Answer]:
        """Ask for several pictures in one request."""
        return await self.dispatcher.classify_all(
            id="a",
            model="tiny",
            version=0,
            images=images,
            options=Options(pixels=pixels),
            deadline=NEVER,
            priority=Priority.HIGH,
            method="ModelInfer",
        )


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_version_0_is_the_latest(bench: Bench) -> None:
    """The queue sees the version that was resolved."""
    assert (await bench.classify()).model == ModelKey("tiny", 7)
    assert (await bench.classify(version=3)).model == ModelKey("tiny", 3)


@pytest.mark.parametrize(
    ("image", "model", "error", "found"),
    [
        (b"", "tiny", BadImage, ("tiny", 7)),
        (b"not a picture", "tiny", BadImage, ("tiny", 7)),
        (LIGHT + bytes(1000), "tiny", BadImage, ("tiny", 7)),
        (LIGHT, "missing", NoSuchModel, ("", 0)),
    ],
)
async def test_what_cannot_be_answered_is_never_queued(
    bench: Bench, image: bytes, model: str, error: type[ServiceError], found: tuple[str, int]
) -> None:
    """The picture's header and the model's name are looked at first; names we do not know are not repeated."""
    with pytest.raises(error):
        await bench.classify(image, model)

    assert bench.queue.asked == []
    assert bench.events == [RequestDone(found[0], "Classify", error.code, 0.0, found[1])]


async def test_an_answer_is_a_fact(bench: Bench) -> None:
    """A request that succeeded is stated without a code."""
    await bench.classify()

    assert bench.events == [RequestDone("tiny", "Classify", None, 0.0, 7, (TIMING,))]


async def test_a_withdrawn_request_is_a_fact(bench: Bench) -> None:
    """A caller that cancels is counted as such."""
    bench.queue.held = True
    asked = asyncio.create_task(bench.classify())
    while not bench.queue.asked:
        await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait([asked])

    assert bench.events == [RequestDone("tiny", "Classify", Code.CANCELLED, 0.0, 7)]


async def test_a_bug_is_not_counted_as_an_answer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a queue raises that is no error of ours, the request failed."""

    async def submit(request: Request) -> Answer:
        raise KeyError(request.id)

    monkeypatch.setattr(bench.queue, "submit", submit)
    with pytest.raises(KeyError):
        await bench.classify()

    assert bench.events == [RequestDone("tiny", "Classify", Code.FAILED, 0.0, 7)]


async def test_a_closed_dispatcher_refuses(bench: Bench) -> None:
    """While the server shuts down nothing new is admitted."""
    bench.dispatcher.close()

    with pytest.raises(NotReady, match="shutting down"):
        await bench.classify()


async def test_pictures_of_one_request_are_one_fact(bench: Bench) -> None:
    """Each is queued for itself, by the same version and as urgent as was asked."""
    answers = await bench.classify_all(LIGHT, LIGHT)

    assert [answer.model for answer in answers] == [ModelKey("tiny", 7)] * 2
    assert [request.priority for request in bench.queue.asked] == [Priority.HIGH] * 2
    assert bench.events == [RequestDone("tiny", "ModelInfer", None, 0.0, 7, (TIMING, TIMING))]


async def test_one_picture_that_is_none_refuses_the_request(bench: Bench) -> None:
    """Nothing of it is queued."""
    with pytest.raises(BadImage):
        await bench.classify_all(LIGHT, b"not a picture")

    assert bench.queue.asked == []


async def test_one_picture_that_is_shed_withdraws_the_others(bench: Bench) -> None:
    """Whoever gets no answer shall not keep a worker busy."""
    with pytest.raises(Overloaded):
        await bench.classify_all(bytes(4), REFUSED, pixels=True)

    assert bench.events == [RequestDone("tiny", "ModelInfer", Code.OVERLOADED, 0.0, 7)]
    assert len(asyncio.all_tasks()) == 1


async def test_pixels_are_not_looked_at_as_a_file(bench: Bench) -> None:
    """They have no header that could be wrong."""
    await bench.classify_all(bytes(4), pixels=True)

    assert [request.image for request in bench.queue.asked] == [bytes(4)]
