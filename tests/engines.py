"""Stand-ins on the engine's side of the ports, for tests of everything above it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.core.spec import Preprocess, Spec
from service.core.tuning import Setting, Tuning

TINY = Spec(
    name="tiny",
    channels=1,
    height=2,
    width=2,
    labels=("dark", "light"),
    preprocess=Preprocess(interpolation="nearest"),
)


def tuned(lanes: int = 1, batch: int = 4, provider: str = "cpu") -> Tuning:
    """A tuning that nobody measured."""
    return Tuning(Setting(provider, "fp32", lanes, 1, batch), ())


@dataclass
class FakeEngine:
    """Calls a picture light by its mean; counts what it computes; can be held, or fail on a pixel value."""

    spec: Spec = TINY
    digest: str = "d" * 64
    tuning: Tuning = field(default_factory=tuned)
    fails_on: Callable[[NDArray[np.uint8]], bool] = lambda _: False
    gate: threading.Event = field(default_factory=threading.Event)
    batches: list[int] = field(default_factory=list)
    alone: list[bool] = field(default_factory=list)
    started: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    closed: bool = False

    def __post_init__(self) -> None:
        self.gate.set()

    def hold(self) -> None:
        """Let runs wait until `release`."""
        self.gate.clear()

    def release(self) -> None:
        """Let runs go on."""
        self.gate.set()

    @property
    def computed(self) -> int:
        """Pictures that went through `run`."""
        return sum(self.batches)

    def run(self, batch: NDArray[np.uint8], *, alone: bool = False) -> NDArray[np.float32]:
        """Logits [N, 2]: minus and plus the mean pixel, over 100."""
        self.started.release()
        assert self.gate.wait(timeout=30)
        if self.fails_on(batch):
            raise RuntimeError("the engine choked")
        self.batches.append(len(batch))
        self.alone.append(alone)
        mean = batch.reshape(len(batch), -1).mean(axis=1, dtype=np.float32) / 100
        return np.stack([-mean, mean], axis=1)

    def close(self) -> None:
        """Remember it."""
        self.closed = True
