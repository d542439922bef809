"""One question about one picture, with all that is needed to answer it."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.attribution import AttributionProgress, AttributionRequest, Question
from service.core.saliency import Placement
from service.core.spec import Spec
from service.introspect.layers import Anatomy
from service.introspect.network import Network

#: Pictures that go through the network at once: enough to keep it busy, few enough to leave soon when nobody waits.
BATCH = 16


@dataclass(frozen=True, slots=True)
class Case:
    """`pixels` [height, width, channels] are the network's own, `max_bytes` what may be held of maps at once."""

    request: AttributionRequest
    question: Question
    spec: Spec
    anatomy: Anatomy
    pixels: NDArray[np.uint8]
    network: Network
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Found:
    """Evidence [height, width], where it lies, and the logits [classes] that it was found with.

    `bias` is the score of an empty map, NaN where the evidence does not add up to the score.
    """

    values: NDArray[np.float64]
    place: Placement
    logits: NDArray[np.float32]
    bias: float = math.nan


#: Yields what is done, returns what was found.
Finding = Generator[AttributionProgress, None, Found]


class Pace:
    """Which of the steps of a long run send the map so far: `snapshots` of them, evenly spaced."""

    def __init__(self, runs: int, snapshots: int) -> None:
        self._every = runs / snapshots if snapshots else math.inf
        self._sent = 0

    def due(self, done: int) -> bool:
        """Whether it is time for one."""
        passed = int(done / self._every)
        due, self._sent = passed > self._sent, passed
        return due


def batches(count: int, size: int) -> Iterator[tuple[int, int]]:
    """Start and end of each batch of `size` out of `count`."""
    return ((start, min(start + size, count)) for start in range(0, count, size))
