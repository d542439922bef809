"""The one connection to Redis, when what comes by it is broken or makes no sense."""

from __future__ import annotations

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
