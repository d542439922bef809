"""The one connection to Redis, when what comes by it is broken or makes no sense."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from service.queues.redis_link import Away, Link
from service.queues.redis_url import parse
from tests.chaos.proxy import Proxy
from tests.contract.benches import until
from tests.servers import RedisServer


async def test_replies_that_make_no_sense_end_one_connection_only(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A reply that nobody asked for is reported as a fault, and the next connection works."""
    async with Proxy(server.socket) as proxy, Link(parse(proxy.url, "{t}")) as link:
        assert await link.send("PING") == b"PONG"
        proxy.say(b"+what\r\n")
        await until(lambda: link.connections == 2)

        assert await link.send("PING") == b"PONG"
        assert "the conversation with Redis ended by a fault" in caplog.text


async def test_a_cut_reply_fails_its_command_and_no_other(make_server: Callable[..., RedisServer]) -> None:
    """It may have been carried out; what is sent afterwards gets its own reply."""
    server = make_server()
    async with Proxy(server.socket) as proxy, Link(parse(proxy.url, "{t}")) as link:
        proxy.cut(1)
        with pytest.raises(Away) as caught:
            await link.send("ECHO", b"x" * 100)
        await link.up()

        assert caught.value.sent
        assert [await link.send("ECHO", each) for each in ("a", "b")] == [b"a", b"b"]


async def test_a_silent_server_is_left_after_a_while(make_server: Callable[..., RedisServer]) -> None:
    """Commands fail when patience is at its end; when bytes pass again the link is up by itself."""
    server = make_server()
    async with Proxy(server.socket) as proxy, Link(parse(proxy.url, "{t}"), patience_s=0.5) as link:
        proxy.swallow()
        with pytest.raises(Away, match=r"no reply within 0\.5 s"):
            await link.send("PING")
        proxy.pass_on()
        await link.up()

        assert await link.send("PING") == b"PONG"


async def test_it_can_be_closed_at_any_moment_of_a_break(server: RedisServer) -> None:
    """Whatever turn of the event loop the connection is at: a cancellation that a break swallowed would hang here."""
    with server.client() as outside:
        for turns in range(25):
            link = await Link(parse(server.url, "{t}")).__aenter__()
            assert await link.send("PING") == b"PONG"
            outside.client_kill_filter(_type="normal", skipme=True)
            pending = link.send("PING")
            for _ in range(turns):
                await asyncio.sleep(0)
            await asyncio.wait_for(link.__aexit__(), 30)

            assert isinstance(pending.exception(), Away) or pending.result() == b"PONG"


async def test_what_was_not_sent_goes_by_the_next_connection(make_server: Callable[..., RedisServer]) -> None:
    """Also when nobody sends anything after it: a command that cannot be written ends the conversation it was in."""
    server = make_server()
    async with Link(parse(server.url, "{t}")) as link:
        broken, behind = link.send("ECHO", None), link.send("ECHO", "b")  # type: ignore[arg-type]
        with pytest.raises(Away, match="Invalid input of type"):
            await broken

        assert await asyncio.wait_for(behind, 30) == b"b"
