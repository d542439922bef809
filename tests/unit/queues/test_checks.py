"""Which settings of a server are complained about."""

from __future__ import annotations

import pytest

from service.queues.redis_checks import judge

GOOD = {
    "maxmemory-policy": "noeviction",
    "appendonly": "yes",
    "appendfsync": "always",
    "auto-aof-rewrite-min-size": "1073741824",
}


def test_a_server_made_for_it_is_fine() -> None:
    """Nothing to say."""
    assert judge(GOOD, jobs=True) == []


@pytest.mark.parametrize(
    ("setting", "value", "fatal"),
    [
        ("maxmemory-policy", "allkeys-lru", True),
        ("appendonly", "no", True),
        ("appendfsync", "everysec", True),
        ("auto-aof-rewrite-min-size", "67108864", False),
    ],
)
def test_one_wrong_setting_is_named_with_its_cure(setting: str, value: str, *, fatal: bool) -> None:
    """Setting, value and the line to write."""
    (finding,) = judge({**GOOD, setting: value}, jobs=True)

    assert (finding.setting, finding.value, finding.fatal) == (setting, value, fatal)
    assert str(finding).startswith(f"redis: {setting} is {value!r}: ")
    assert f"set `{setting} " in str(finding)


def test_without_jobs_redis_may_forget() -> None:
    """Front-ends hold what they asked."""
    assert judge({"maxmemory-policy": "noeviction", "appendonly": "no"}, jobs=False) == []


def test_replicas_that_need_not_have_a_job_are_named() -> None:
    """A failover forgets what no replica has; without replicas nothing fails over."""
    (finding,) = judge({**GOOD, "connected_slaves": "2", "min-replicas-to-write": "0"}, jobs=True)

    assert (finding.mend, finding.fatal) == ("min-replicas-to-write 1", False)
    assert judge({**GOOD, "connected_slaves": "0", "min-replicas-to-write": "0"}, jobs=True) == []
