"""What is said about real servers before the first request: the exact line to change, or what cannot be seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from service.core.errors import Refused
from service.queues.redis_checks import check
from tests.integration.queues.parts import address
from tests.servers import RedisServer, require
from tests.topologies import PERMISSIONS, Secured


async def test_a_server_that_evicts_is_refused(make_server: Callable[..., RedisServer]) -> None:
    """With the line of redis.conf that mends it."""
    server = make_server(options=("--maxmemory-policy", "allkeys-lru"))

    with pytest.raises(
        Refused, match=r"redis: maxmemory-policy is 'allkeys-lru': .*; set `maxmemory-policy noeviction`"
    ):
        await check(address(server), jobs=False)


async def test_jobs_are_refused_where_they_would_be_lost(make_server: Callable[..., RedisServer]) -> None:
    """Both lines at once, so that nobody mends one after the other."""
    with pytest.raises(Refused, match=r"set `appendonly yes`; .*set `appendfsync always`"):
        await check(address(make_server()), jobs=True)


async def test_a_server_of_any_kind_is_looked_at(server: RedisServer) -> None:
    """Nothing but the size at which the append-only file is rewritten is found on a plain one."""
    assert await check(address(server), jobs=False) == []


async def test_a_durable_server_costs_rewrites(make_server: Callable[..., RedisServer]) -> None:
    """A warning, no refusal."""
    (finding,) = await check(address(make_server(durable=True)), jobs=True)

    assert str(finding).endswith("set `auto-aof-rewrite-min-size 1gb`")


async def test_a_user_who_may_not_look_is_told_what_to_permit(tmp_path: Path) -> None:
    """Over TLS, as a user without CONFIG; with it there is nothing to say."""
    require("redis")
    secured = Secured(tmp_path)
    secured.start()
    try:
        assert await check(address(secured.url), jobs=False) == []
        secured.permit(PERMISSIONS.replace(" +config|get", ""))
        (finding,) = await check(address(secured.url), jobs=False)

        assert (finding.setting, finding.mend) == ("CONFIG GET", "ACL SETUSER NAME +config|get")
        assert "config" in finding.why
    finally:
        secured.stop()
