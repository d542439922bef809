"""What the edges (gRPC, HTTP) ask of the inside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from service.core.introspection import Listing, MapsEvent, MapsRequest, UnitAnswer, UnitRequest
from service.core.layers import Selector
from service.core.messages import Answer, Options
from service.core.status import ModelStatus


class Classifying(Protocol):
    """The asking side of classification."""

    async def classify(
        self,
        *,
        id: str,
        model: str,
        version: int,
        image: bytes,
        options: Options,
        deadline: float,
        method: str,
    ) -> Answer:
        """Inspect, admit, wait for and return the answer; version 0 is the latest ready one.

        `deadline` is in seconds of the monotonic clock, `NEVER` without one; `method` names the caller's door for the
        metrics. Raises any `ServiceError`. Cancelling the awaiting task withdraws the request.
        """


class ModelCatalog(Protocol):
    """What is served, and in which state."""

    def list(self) -> Sequence[ModelStatus]:
        """Every version that the store holds or that is loaded."""

    def get(self, name: str, version: int) -> ModelStatus:
        """One version, 0 for the latest ready one; raises `NoSuchModel`."""

    async def load(self, name: str, version: int) -> ModelStatus:
        """Load a version of the store, 0 for the newest; returns when it is ready or has failed."""

    async def unload(self, name: str, version: int) -> None:
        """Finish what is in flight, then unload; 0 unloads every version."""

    def ready(self) -> tuple[bool, str]:
        """Whether the server may be sent requests, and the reason when it may not."""


class Introspecting(Protocol):
    """Looking into served models. Every method, and every step of `maps`, blocks."""

    def layers(self, model: str, version: int, selector: Selector) -> Listing:
        """The chosen layers; version 0 is the latest ready one. Raises any `ServiceError`."""

    def maps(self, request: MapsRequest) -> Iterator[MapsEvent]:
        """The feature maps, event by event. Raises any `ServiceError`."""

    def unit(self, request: UnitRequest) -> UnitAnswer:
        """The arithmetic of one unit. Raises any `ServiceError`."""
