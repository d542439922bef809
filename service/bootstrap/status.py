"""What `/statusz` tells: build, configuration, models, how they were tuned, queue, workers."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import distributions
from typing import Any

from service.bootstrap.parts import VERSION
from service.config import Config
from service.core.messages import ModelKey
from service.core.ports import Depth
from service.core.status import ModelStatus
from service.web.status import Report

Workers = Callable[[], Awaitable[object]]

#: What stands before the @ of a URL, and passwords among its options.
_SECRET = re.compile(r"(?<=://)[^/@\s]*@|(?<=password=)[^&\s]+")
_MASK = "**********"
_BUILT_ON = ("grpcio", "onnxruntime", "onnxruntime-openvino", "onnxruntime-gpu", "protobuf", "numpy", "redis")


def reporter(
    config: Config,
    role: str,
    statuses: Callable[[], Sequence[ModelStatus]],
    ready: Callable[[], tuple[bool, str]],
    *,
    depth: Callable[[ModelKey], Depth] | None = None,
    workers: Workers | None = None,
) -> Report:
    """Tells it for one process; `depth` where requests wait, `workers` where that is known."""
    started = time.monotonic()

    async def report() -> Mapping[str, Any]:
        models = statuses()
        serving, reason = ready()
        told: dict[str, Any] = {
            "build": _build(role),
            "ready": {"ready": serving, "reason": reason, "up_s": round(time.monotonic() - started, 1)},
            "config": masked(config),
            "models": [_model(status) for status in models],
        }
        if depth:
            told["queue"] = {str(each.key): asdict(depth(each.key)) for each in models if each.state == "ready"}
        if workers:
            told["workers"] = await workers()
        return told

    return report


def masked(config: Config) -> dict[str, Any]:
    """Every setting, without its secrets: neither keys nor passwords, and nothing of those within URLs."""
    return {
        name: _SECRET.sub(lambda found: f"{_MASK}@" if found[0].endswith("@") else _MASK, value)
        if isinstance(value, str)
        else value
        for name, value in config.model_dump(mode="json").items()
    }


def _build(role: str) -> dict[str, str]:
    found = {each.metadata["Name"]: each.version for each in distributions() if each.metadata["Name"] in _BUILT_ON}
    return {
        "version": VERSION,
        "role": role,
        "python": platform.python_version(),
        "platform": platform.platform(),
    } | found


def _model(status: ModelStatus) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": status.key.name,
        "version": status.key.version,
        "state": status.state,
        "latest": status.latest,
        "reason": status.reason,
        "digest": status.digest,
        "load_s": round(status.load_s, 3),
    }
    return told | ({"tuning": asdict(status.tuning)} if status.tuning else {})
