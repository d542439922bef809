"""A worker: a supervisor, and the child process that holds engine and lanes and takes its work from Redis."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from service.bootstrap.drift import drift_watching
from service.bootstrap.engines import opener
from service.bootstrap.guards import guards
from service.bootstrap.parts import VERSION, certificates, http_patience, image_limits, log, observed, uri_fetcher
from service.bootstrap.redis_server import redis_server, vet
from service.bootstrap.routing import with_routes
from service.bootstrap.status import reporter
from service.bootstrap.traces import traces
from service.catalog import Catalog
from service.config import WorkerConfig, host_and_port
from service.core.events import WorkerStarted
from service.core.messages import ModelKey
from service.core.patience import Patience
from service.core.ports import Engine
from service.core.tuning import Tuning
from service.engine.store import ModelStore
from service.lane import Lane
from service.queues.redis_routing import RedisRouting
from service.queues.redis_work import RedisWork
from service.routing.table import RoutingTable
from service.security.pacing import LocalPacing
from service.supervision.watchdog import Watchdog
from service.supervision.working import Working
from service.web.app import create_app
from service.web.server import HttpServer
from service.worker import Worker


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One child: its name in Redis, how many were before it, and the socket that its supervisor listens on."""

    name: str
    restarts: int
    listening: socket.socket


def build_worker(config: WorkerConfig, incarnation: Incarnation) -> Working:
    """Put the child together. Raises `ServiceError` when the installation or the configuration rules it out."""
    server, limits = redis_server(config), image_limits(config)
    guarded = guards(config, LocalPacing(), doors=("http",))
    store = ModelStore(config.models, only=config.model)
    metrics, emit = observed(config)
    tracing = traces(config, "worker")

    def host(key: ModelKey, engine: Engine) -> Worker:
        lane = tracing.lane(key, drift.lane(key, engine, Lane(key, engine, limits, emit)))
        return Worker(key, engine, work, watchdog.watch(key, lane, _batch_s(engine.tuning)), emit)

    def routed(name: str) -> Collection[int]:
        return routes.versions(name)

    def ready() -> tuple[bool, str]:
        return (False, work.away) if work.away else catalog.ready()

    async def finish() -> None:
        await catalog.close()
        await work.delivered()

    drift = drift_watching(config, store, emit)
    watchdog = Watchdog(Patience(config.stuck_factor, config.stuck_s))
    fetcher = uri_fetcher(config)
    work = RedisWork(server, emit, worker=incarnation.name, fetch=fetcher)
    catalog = Catalog(store, opener(config, store), host, emit, keep=config.keep_versions, routed=routed)
    records = RedisRouting(server)
    routes = RoutingTable(records, catalog, emit)
    metrics.watch_settings(catalog.list)
    metrics.watch_leases(work.leases)
    metrics.watch_certificates(certificates(config))
    report = reporter(config, "worker", catalog.list, ready, workers=_leases(work))
    http = HttpServer(
        guarded.around(create_app(VERSION, catalog, ready, metrics.render, report=report)),
        *host_and_port(config.http),
        incarnation.listening,
        tls=guarded.tls,
        patience=http_patience(config),
    )
    emit(WorkerStarted(incarnation.restarts))
    return Working(
        _all(*tracing.behind(), *drift.behind(), records, fetcher, work),
        http,
        prepare=partial(vet, server),
        follow=with_routes(routes, catalog.follow),
        stuck=lambda: work.failed or watchdog.stuck(),
        finish=finish,
        lost=work.lost,
        poll_s=config.poll_s,
        grace_s=config.grace_s,
        warn=log.warning,
    )


def _leases(work: RedisWork) -> Callable[[], Awaitable[object]]:
    """What `/statusz` tells of the queue."""

    async def leases() -> object:
        return {work.worker: {str(model): count for model, count in work.leases().items()}}

    return leases


@asynccontextmanager
async def _all(*parts: AbstractAsyncContextManager[object]) -> AsyncIterator[None]:
    async with AsyncExitStack() as entered:
        for part in parts:
            await entered.enter_async_context(part)
        yield


def _batch_s(tuning: Tuning) -> float:
    """What the chosen setting's batches took when it was measured, in seconds; 0 when it was not."""
    return max((row.latency_ms / 1000 for row in tuning.measurements if row.setting == tuning.chosen), default=0.0)
