"""What the status page may show."""

from __future__ import annotations

import json

from service.bootstrap.status import masked
from service.config import parse


def test_secrets_are_masked() -> None:
    """Passwords and keys, whether they are settings or parts of a URL."""
    config = parse(
        {
            "redis": "redis://user:hunter2@queue:6379/0?password=hunter2&db=1",
            "redis_password": "hunter2",
            "keys": "hunter2",
            "otlp_endpoint": "http://team:hunter2@collector:4317",
        }
    )
    shown = masked(config)

    assert "hunter2" not in json.dumps(shown)
    assert shown["redis"] == "redis://**********@queue:6379/0?password=**********&db=1"
    assert shown["otlp_endpoint"] == "http://**********@collector:4317"
    assert shown["queue_entries"] == 4096
