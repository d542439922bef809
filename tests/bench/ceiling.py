"""The ceiling: decode, preprocess and ONNX Runtime in bare threads, with no server around them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from service.core.image import Limits, decode
from service.core.messages import ModelKey
from service.core.scores import scores
from service.engine.loading import EnginePolicy, load
from service.engine.session import OnnxEngine
from service.engine.store import ModelStore

LIMITS = Limits()


def newest(models: Path, model: str) -> ModelKey:
    """The newest stored version of `model`."""
    return ModelKey(model, max(ModelStore(models).versions()[model]))


def open_engine(models: Path, model: str, policy: EnginePolicy) -> OnnxEngine:
    """The newest version of `model`, tuned as far as `policy` leaves anything to measure."""
    return load(ModelStore(models).open(newest(models, model)), policy)


def ceiling(engine: OnnxEngine, picture: bytes, seconds: float) -> float:
    """Pictures per second of `setting.hands` threads, each decoding and running batch after batch."""
    setting = engine.tuning.chosen

    def batch() -> int:
        pixels = np.stack([decode(picture, engine.spec, LIMITS) for _ in range(setting.batch)])
        scores(engine.run(pixels), engine.spec).argmax(axis=1)
        return setting.batch

    return rate(batch, setting.hands, seconds)


def rate(step: Callable[[], int], threads: int, seconds: float) -> float:
    """Pictures per second of so many threads, each taking step after step; a step returns how many it was."""
    end = time.perf_counter() + seconds
    counts = [0] * threads

    def work(thread: int) -> None:
        while time.perf_counter() < end:
            counts[thread] += step()

    running = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(counts) / seconds
