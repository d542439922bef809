"""A server around whatever answers: what surrounds the queue, both ports, and the life of the process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from service.api.jobs import JobsServicer
from service.api.open_inference import OpenInferenceServicer
from service.api.server import GrpcServer
from service.bootstrap.doors import Glass, http_server, open_inference
from service.bootstrap.guards import Guards, guards
from service.bootstrap.keeping import cached, logged, replaying
from service.bootstrap.parts import certificates, grpc_settings, image_limits, log, observed
from service.bootstrap.routing import with_routes
from service.bootstrap.status import Workers, reporter
from service.bootstrap.traces import Traces, traces
from service.caching import Shared
from service.config import Config
from service.core.events import Emit
from service.core.ports import Pacing, Submissions
from service.core.use_cases import Jobs, ModelCatalog
from service.dispatch import Dispatcher
from service.lifecycle import Lifecycle, nothing
from service.predictions.logged import PredictionLog
from service.routing.shadow import Shadowing
from service.routing.table import RoutingTable
from service.telemetry.metrics import Metrics

Role = Literal["embedded", "front-end"]


class FollowedCatalog(ModelCatalog, Protocol):
    """What is served, brought up to date again and again."""

    async def follow(self) -> None:
        """Look once at what is to be served."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What every part of a server is built with."""

    config: Config
    role: Role
    guarded: Guards
    metrics: Metrics
    emit: Emit
    tracing: Traces


def frame(config: Config, role: Role, pacing: Pacing) -> Frame:
    """As configured. Raises `InvalidInput`."""
    guarded = guards(config, pacing)
    metrics, emit = observed(config)
    return Frame(config, role, guarded, metrics, emit, traces(config, role))


@dataclass(frozen=True, slots=True)
class Inside:
    """What one role has behind the doors.

    What is `behind` is entered before they open, in this order, and left after they are closed. `predictions` is where
    answers are logged, `answers` a cache shared with other processes, `workers` tells of those elsewhere, and `prepare`
    is awaited once.
    """

    queue: Submissions
    catalog: FollowedCatalog
    routes: RoutingTable
    jobs: Callable[[], Jobs]
    glass: Glass | None
    behind: Sequence[AbstractAsyncContextManager[object]]
    poll_s: float
    predictions: PredictionLog | None = None
    answers: Shared | None = None
    workers: Workers | None = None
    prepare: Callable[[], Awaitable[None]] = nothing


def server(frame: Frame, inside: Inside) -> Lifecycle:
    """Put it together."""
    config, metrics, emit = frame.config, frame.metrics, frame.emit
    catalog, routes, glass = inside.catalog, inside.routes, inside.glass

    def ready() -> tuple[bool, str]:
        return (False, "the server is shutting down") if dispatcher.leaving else catalog.ready()

    answering = cached(config, inside.queue, catalog, metrics, emit, shared=inside.answers)
    shadowing = Shadowing(answering, routes.get, emit)
    asked = logged(config, shadowing, inside.predictions)
    dispatcher = Dispatcher(routes.resolve, asked, image_limits(config), emit)
    asking = frame.tracing.asking(dispatcher)
    standard = open_inference(config, asking, catalog, metrics, glass, ready=ready, choose=routes.choose)
    grpc = GrpcServer(
        grpc_settings(config, frame.guarded.tls),
        asking,
        catalog,
        emit,
        glass.grpc if glass else None,
        jobs=JobsServicer(inside.jobs, emit),
        standard=OpenInferenceServicer(standard, config.max_stream_in_flight),
        interceptors=[*frame.tracing.interceptors(), *frame.guarded.interceptors()],
        choose=routes.choose,
        routes=routes,
        predictions=replaying(inside.predictions, catalog, glass.keep if glass else None),
    )
    metrics.watch(inside.queue.depth, grpc.in_flight)
    metrics.watch_certificates(certificates(config))
    metrics.watch_settings(catalog.list)
    http = http_server(
        config,
        asking,
        catalog,
        guarded=frame.guarded,
        tracing=frame.tracing,
        report=reporter(config, frame.role, catalog.list, ready, depth=inside.queue.depth, workers=inside.workers),
        ready=ready,
        metrics=metrics,
        glass=glass,
        standard=standard,
        choose=routes.choose,
    )
    return Lifecycle(
        dispatcher,
        grpc,
        http,
        ready,
        behind=[*frame.tracing.behind(), *inside.behind, shadowing],
        follow=with_routes(routes, catalog.follow),
        prepare=inside.prepare,
        poll_s=inside.poll_s,
        grace_s=config.grace_s,
        linger_s=config.linger_s,
        warn=log.warning,
    )
