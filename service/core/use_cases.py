"""What the edges (gRPC, HTTP) ask of the inside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Protocol

from service.core.attribution import AttributionEvent, AttributionRequest
from service.core.diagnostics import (
    CompareRequest,
    ComparisonEvent,
    DiagnoseRequest,
    DiagnosisEvent,
    LatencyProfile,
    ProfileRequest,
)
from service.core.introspection import Listing, MapsEvent, MapsRequest, UnitAnswer, UnitRequest
from service.core.jobs import Item, ItemResult, Job, Order
from service.core.layers import Selector
from service.core.messages import Answer, Options, Payload, Priority
from service.core.routing import Record, Routing
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


class ClassifyingAll(Protocol):
    """The asking side, for several pictures in one request."""

    async def classify_all(
        self,
        *,
        id: str,
        model: str,
        version: int,
        images: Sequence[Payload],
        options: Options,
        deadline: float,
        priority: Priority,
        method: str,
    ) -> Sequence[Answer]:
        """The answers to all pictures, by one version; the first that fails takes the others with it."""


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


class Choose(Protocol):
    """Which version a request is for."""

    def __call__(self, model: str, version: int, label: str = "", key: str = "") -> int:
        """`version` itself, or for 0 the one that `label` or the model's routing name, 0 again for the latest ready.

        Requests with the same `key` get the same one. Raises `NoSuchModel` or `InvalidInput` for the label.
        """


class Routes(Protocol):
    """Which version callers get, and changing it."""

    def get(self, model: str) -> Record:
        """What is in force; an empty record where there is no routing."""

    async def set(self, model: str, routing: Routing, revision: int = 0) -> Record:
        """Put a routing in force in place of `revision` (0: any). Raises `NoSuchModel`, `NotReady`, `Refused`."""

    async def roll_back(self, model: str, revision: int = 0) -> Record:
        """Put the one before in force again. Raises `Refused` when there is none."""


class Diagnosing(Protocol):
    """Examining served models. Every method, and every step of a stream, blocks."""

    def diagnose(self, request: DiagnoseRequest) -> Iterator[DiagnosisEvent]:
        """Each layer's health. Raises any `ServiceError`."""

    def compare(self, request: CompareRequest) -> Iterator[ComparisonEvent]:
        """How far two versions are apart, layer by layer. Raises any `ServiceError`."""

    def profile(self, request: ProfileRequest) -> LatencyProfile:
        """How long each layer takes. Raises any `ServiceError`."""


class Introspecting(Protocol):
    """Looking into served models. Every method, and every step of `maps`, blocks."""

    def keep(self, image: bytes) -> str:
        """Remember a picture for later questions, and return its id. Raises `BadImage` or `InvalidInput`."""

    def layers(self, model: str, version: int, selector: Selector) -> Listing:
        """The chosen layers; version 0 is the latest ready one. Raises any `ServiceError`."""

    def maps(self, request: MapsRequest) -> Iterator[MapsEvent]:
        """The feature maps, event by event. Raises any `ServiceError`."""

    def unit(self, request: UnitRequest) -> UnitAnswer:
        """The arithmetic of one unit. Raises any `ServiceError`."""

    def attribution(self, request: AttributionRequest) -> Iterator[AttributionEvent]:
        """The evidence for a class, event by event. Raises any `ServiceError`."""


class Jobs(Protocol):
    """Durable sets of pictures. What a method has returned for survives as the job's `durability` says."""

    async def open(self, order: Order) -> Job:
        """Begin a job, or return the one that was begun under the same idempotency key.

        Raises `InvalidInput`, `NoSuchModel`, `NotReady`, `Overloaded`, or `Refused` when it could not be kept.
        """

    async def append(self, id: str, chunk: int, items: Sequence[Item]) -> tuple[int, int]:
        """Take a chunk, once; the number of the next one and how many items the job has.

        Raises `NoSuchJob`, `InvalidInput` for a gap, `Refused` for a job that takes no more, `Overloaded`, `NotReady`.
        """

    async def seal(self, id: str, chunks: int) -> Job:
        """Take no more than these `chunks`. Raises `NoSuchJob`, `InvalidInput` while one is missing, `NotReady`."""

    async def cancel(self, id: str) -> Job:
        """Compute no more of it; one that has ended stays as it is. Raises `NoSuchJob`, `NotReady`."""

    async def get(self, id: str) -> Job:
        """The job as it stands. Raises `NoSuchJob`, `NotReady`."""

    async def list(self, count: int, before: str = "") -> Sequence[Job]:
        """At most `count` jobs, newest first; with `before` those that sort before that id. Raises `NotReady`."""

    def results(self, id: str, cursor: str = "") -> AsyncIterator[ItemResult]:
        """What is there by now, after `cursor`. Raises `NoSuchJob`, `InvalidInput`, `NotReady`."""

    def watch(
        self, id: str, cursor: str = "", *, results: bool = True
    ) -> AsyncIterator[tuple[Job, Sequence[ItemResult]]]:
        """How it goes on until it has ended, with the `results` after `cursor`. Raises like the method `results`."""
