"""The async SDK against a real server."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from service.client import AsyncClient, ClientError, Image, Options, Retry
from service.core.errors import BadImage, InvalidInput, NoSuchModel, NotReady, Overloaded, Reason, TooLate
from tests.fake_server import Running
from tests.fakes import DIGITS, READY

FULL = Overloaded(Reason.FULL, "512 requests wait", retry_after_s=0.02)


@pytest.fixture
async def client(server: Running) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(server.address, timeout_s=20) as client:
        yield client


async def test_bytes_are_classified(client: AsyncClient, server: Running) -> None:
    """The answer of the core comes out as the server put it in."""
    answer = await client.classify(b"picture", model="digits", version=3, options=Options(1, logits=True), id="a")

    assert (answer.id, answer.model) == ("a", DIGITS)
    assert [(p.label, p.score) for p in answer.predictions] == [("zero", 0.75)]
    assert answer.logits == (1.5, 0.5)
    assert server.inside.calls[0].image == b"picture"


async def test_a_file_is_classified(client: AsyncClient, server: Running, tmp_path: Path) -> None:
    """A path stands for its file's bytes."""
    (tmp_path / "seven.png").write_bytes(b"picture")
    await client.classify(tmp_path / "seven.png", model="digits")
    await client.classify(str(tmp_path / "seven.png"), model="digits")

    assert [call.image for call in server.inside.calls] == [b"picture", b"picture"]


async def test_a_file_that_cannot_be_sent_is_not_read(server: Running, tmp_path: Path) -> None:
    """A file beyond the message limit is the caller's mistake, said before it fills the memory."""
    (tmp_path / "film.png").write_bytes(b"123456")
    async with AsyncClient(server.address, max_message_bytes=5) as client:
        with pytest.raises(InvalidInput, match="image: at most 5 bytes, the message limit, got 6 bytes"):
            await client.classify(tmp_path / "film.png", model="digits")


async def test_every_call_has_a_deadline(server: Running) -> None:
    """A server that never answers ends in TooLate after the client's own time."""
    server.inside.held[b"slow"] = asyncio.Event()
    async with AsyncClient(server.address, timeout_s=0.2) as client:
        with pytest.raises(TooLate):
            await client.classify(b"slow", model="digits")


async def test_errors_are_those_of_the_server(client: AsyncClient, server: Running) -> None:
    """What was raised inside is raised here, parts and all."""
    server.inside.failures[b"text"] = BadImage("image", "a picture", "text")
    with pytest.raises(BadImage) as raised:
        await client.classify(b"text", model="digits")

    assert (raised.value.field, raised.value.limit, raised.value.value) == ("image", "a picture", "text")


async def test_a_bug_of_the_server_has_its_id(client: AsyncClient, server: Running) -> None:
    """An internal error is a ClientError whose message can be found in the server's log."""
    server.inside.failures[b"bug"] = ZeroDivisionError()
    with pytest.raises(ClientError, match=r"^INTERNAL: internal error, logged as [0-9a-f]{12}$"):
        await client.classify(b"bug", model="digits")


async def test_overload_is_waited_out(client: AsyncClient, server: Running) -> None:
    """A shed request is sent again after the delay that the server asked for, until it is answered."""
    server.inside.first += [FULL, NotReady("loading"), FULL]
    answer = await client.classify(b"picture", model="digits", id="a")

    assert answer.id == "a"
    assert [call.id for call in server.inside.calls] == ["a", "a", "a", "a"]


async def test_mistakes_are_not_repeated(client: AsyncClient, server: Running) -> None:
    """What cannot succeed is sent once."""
    server.inside.failures[b"text"] = BadImage("image", "a picture", "text")
    with pytest.raises(BadImage):
        await client.classify(b"text", model="digits")

    assert len(server.inside.calls) == 1


async def test_retrying_ends_with_the_budget(server: Running) -> None:
    """Then the last error is raised."""
    server.inside.first += [FULL] * 50
    async with AsyncClient(server.address, retry=Retry(budget_s=0.05, first_s=0.0)) as client:
        with pytest.raises(Overloaded):
            await client.classify(b"picture", model="digits")

    assert len(server.inside.calls) == 3


async def test_retrying_ends_with_the_deadline(server: Running) -> None:
    """A delay beyond the deadline is not waited for."""
    server.inside.first.append(Overloaded(Reason.FULL, "full", retry_after_s=5))
    async with AsyncClient(server.address, timeout_s=2) as client:
        with pytest.raises(TooLate, match="no time to try again after: full"):
            await client.classify(b"picture", model="digits")


async def test_no_server_is_not_ready() -> None:
    """An address where nobody listens is said so, after the retries."""
    async with AsyncClient("127.0.0.1:1", retry=Retry(budget_s=0)) as client:
        with pytest.raises(NotReady, match=r"127\.0\.0\.1:1"):
            await client.classify(b"picture", model="digits")


async def test_many_come_back_as_they_finish(client: AsyncClient, server: Running) -> None:
    """A slow picture holds up nobody; every result carries the picture it belongs to."""
    gate = server.inside.held[b"slow"] = asyncio.Event()
    seen: list[Image] = []
    async for result in client.classify_many([b"slow", b"a", b"b"], model="digits", concurrency=2):
        seen.append(result.image)
        if len(seen) == 2:
            open_gate(server, gate)

    assert sorted(seen[:2]) == [b"a", b"b"]
    assert seen[2] == b"slow"


def open_gate(server: Running, gate: asyncio.Event) -> None:
    """Open a gate that somebody waits for on the server's own loop."""
    server.loop.call_soon_threadsafe(gate.set)


async def test_failures_are_results(client: AsyncClient, server: Running, tmp_path: Path) -> None:
    """A missing file and a refused picture do not stop the others."""
    server.inside.failures[b"text"] = BadImage("image", "a picture", "text")
    results = {
        result.image: result
        async for result in client.classify_many([tmp_path / "none.png", b"text", b"good"], model="digits")
    }

    assert isinstance(results[tmp_path / "none.png"].error, FileNotFoundError)
    assert isinstance(results[b"text"].error, BadImage)
    assert results[b"good"].error is None
    assert results[b"good"].answer is not None


async def test_concurrency_is_bounded_and_the_source_is_lazy(client: AsyncClient) -> None:
    """An endless source is read only as far as results are taken."""
    produced = 0

    def endless() -> Iterator[Image]:
        nonlocal produced
        while True:
            produced += 1
            yield b"picture"

    results = client.classify_many(endless(), model="digits", concurrency=4)
    for _ in range(10):
        await anext(results)
    await results.aclose()

    assert 10 <= produced <= 10 + 4 + 1


async def test_leaving_half_way_leaves_nothing_behind(server: Running) -> None:
    """Breaking out of the results and closing the client ends the calls in flight without a trace."""
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    server.inside.held[b"slow"] = asyncio.Event()
    async with AsyncClient(server.address) as client:
        async for _ in client.classify_many([b"a", *[b"slow"] * 50], model="digits", concurrency=8):
            break
    gc.collect()  # the generator left half-way is closed by a task of the loop's own
    async with asyncio.timeout(10):
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)

    assert complaints == []


async def test_a_broken_source_is_its_owner_s_error(client: AsyncClient) -> None:
    """What the iterable raises comes out under its own name, after the results before it."""

    def broken() -> Iterator[Image]:
        yield b"picture"
        raise KeyError("row 2")

    with pytest.raises(KeyError, match="row 2"):
        _ = [result async for result in client.classify_many(broken(), model="digits")]


async def test_models_are_told(client: AsyncClient) -> None:
    """With everything that the server knows about them."""
    digits, fashion = await client.models()

    assert (digits.name, digits.version, digits.state, digits.latest) == ("digits", 3, "ready", True)
    assert (digits.shape, digits.labels, digits.task) == ((28, 28, 1), ("zero", "one"), "multiclass")
    assert READY.tuning is not None
    assert digits.tuning is not None
    assert digits.tuning.chosen == READY.tuning.chosen
    assert (fashion.state, fashion.shape, fashion.tuning) == ("failed", None, None)
    assert fashion.reason == "model.onnx: digest differs from the manifest"


async def test_models_are_loaded_and_unloaded(client: AsyncClient) -> None:
    """By name, 0 for the latest."""
    await client.unload("digits")
    unloaded = await client.model("digits")
    loaded = await client.load("digits")

    assert unloaded.state == "available"
    assert loaded.state == "ready"
    with pytest.raises(NoSuchModel):
        await client.model("cats")
