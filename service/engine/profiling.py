"""Times per kernel: a second session with ONNX Runtime's profiler on, which writes a trace of every operation."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.core.latency import Kernel
from service.core.tuning import Setting
from service.engine.providers import ORT_NAMES
from service.engine.session import infer, open_session, serving_options

_SUFFIX = "_kernel_time"
_WARM = 3
_NAMES = {long: short for short, long in ORT_NAMES.items()}


@dataclass(frozen=True, slots=True)
class Trace:
    """Kernels in the order in which they ran, and the time of a whole run, in microseconds; averages over the runs."""

    kernels: tuple[Kernel, ...]
    run_us: float


def trace(model: bytes, setting: Setting, batch: NDArray[np.uint8], runs: int, check: Callable[[], None]) -> Trace:
    """Run `batch` [N, height, width, channels] `runs` times under a setting, after a few times to warm up.

    `check` is called before each run, and may raise. Blocks. Raises `Refused` when the provider does not start,
    `EngineFailed` when the model does not run.
    """
    with tempfile.TemporaryDirectory(prefix="vitrine-") as folder:
        options = serving_options(setting)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "trace")
        session = open_session(model, setting, options)
        for _ in range(_WARM + runs):
            check()
            infer(session, batch)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return _averaged(events, runs)


def _averaged(events: list[dict[str, Any]], runs: int) -> Trace:
    whole = [event["dur"] for event in events if event["name"] == "model_run"][-runs:]
    ran: dict[str, list[dict[str, Any]]] = {}
    for event in _kernels(events):
        ran.setdefault(event["name"], []).append(event)
    return Trace(tuple(_kernel(name, times[-runs:]) for name, times in ran.items()), sum(whole) / runs)


def _kernels(events: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (event for event in events if event["cat"] == "Node" and event["name"].endswith(_SUFFIX))


def _kernel(name: str, events: list[dict[str, Any]]) -> Kernel:
    first = events[0]["args"]
    mean_us = sum(event["dur"] for event in events) / len(events)
    provider = _NAMES.get(first["provider"], first["provider"])
    return Kernel(name.removesuffix(_SUFFIX), first["op_name"], provider, mean_us)
