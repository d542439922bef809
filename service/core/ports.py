"""What the use cases need from the outside. Adapters live in `queues/` and `engine/`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.core.access import Caller
from service.core.messages import Answer, Lease, ModelKey, Outcome, Request
from service.core.spec import Spec
from service.core.tuning import Tuning


@dataclass(frozen=True, slots=True)
class Depth:
    """What waits or runs: number of entries and their payload bytes."""

    entries: int
    bytes: int


class Submissions(Protocol):
    """The asking side of a queue."""

    async def submit(self, request: Request) -> Answer:
        """Admit, wait for and return the answer.

        Cancelling the awaiting task withdraws the request. Raises `Overloaded` (at once), `TooLate`, `NotReady`, or
        whatever `ServiceError` the worker settled the request with.
        """

    def depth(self, model: ModelKey) -> Depth:
        """What this queue holds for one model version."""


class Work(Protocol):
    """The working side of a queue."""

    def open(self, model: ModelKey, engine: Engine) -> None:
        """Admit requests for `model` from now on, worked on by the lanes that `engine` was tuned for."""

    def close(self, model: ModelKey) -> None:
        """Admit no more; what is queued can still be leased."""

    async def lease(self, model: ModelKey, limit: Callable[[int], int]) -> Sequence[Lease]:
        """Wait until something is queued, then take `limit(waiting)` of it, the most urgent and then the oldest first.

        Expired and withdrawn requests are settled here and not leased. An empty result means that the queue of this
        model was closed and is drained.
        """

    def settle(self, outcomes: Sequence[tuple[Lease, Outcome]]) -> None:
        """Hand each outcome to its caller; a caller that left costs the others nothing."""


class Engine(Protocol):
    """A model version ready to run on some provider."""

    spec: Spec
    digest: str  #: SHA-256 of the model file, in hex
    tuning: Tuning

    def run(self, batch: NDArray[np.uint8], *, alone: bool = False) -> NDArray[np.float32]:
        """Pixels [N, height, width, channels] -> logits [N, classes]. Thread-safe; blocks the calling thread.

        `alone` says that no other lane has work: the engine may take all cores for this batch.
        """

    def close(self) -> None:
        """Free the sessions; `run` must not be called any more."""


class Pacing(Protocol):
    """Holds callers to their allowances."""

    async def enter(self, caller: Caller, size: int) -> None:
        """Count one more call of `size` bytes, until `leave`. Raises `Overloaded`; then nothing was counted."""

    async def take(self, caller: Caller, size: int) -> None:
        """Count one more message of `size` bytes of a call under way. Raises `Overloaded`; then nothing was counted."""

    async def leave(self, caller: Caller) -> None:
        """The call is over."""
