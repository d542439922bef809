"""Where everything is built: the only place that knows concrete classes, and the whole configuration."""

from __future__ import annotations

import time
from importlib.metadata import version

import structlog

from service.api.classifier import Bounds
from service.api.introspection import IntrospectionServicer
from service.api.server import GrpcServer, GrpcSettings
from service.catalog import Catalog
from service.config import Config, host_and_port
from service.core.admission import QueueLimits
from service.core.errors import Refused
from service.core.events import Event
from service.core.image import Limits
from service.core.messages import ModelKey
from service.core.ports import Engine
from service.dispatch import Dispatcher
from service.engine.loading import EnginePolicy, check, load
from service.engine.runtime import installed_runtime
from service.engine.store import ModelStore
from service.engine.taps import TapSessions, TapSource
from service.introspect.desk import Desk
from service.introspect.introspector import Budget, Introspector
from service.introspect.pictures import PictureStore
from service.introspect.tapping import Subject
from service.lane import Lane
from service.lifecycle import Lifecycle
from service.queues.memory import MemoryQueue
from service.telemetry.logs import log_event
from service.telemetry.metrics import Metrics
from service.web.app import create_app
from service.web.server import HttpServer
from service.worker import Worker

_log = structlog.get_logger("vitrine")


def build_server(config: Config) -> Lifecycle:
    """The embedded default: front-end, queue and lanes in this process.

    Raises `ServiceError` when the installed ONNX Runtime or the configuration rules it out.
    """
    installed_runtime()
    store, policy = ModelStore(config.models), _policy(config)
    check(policy)
    limits = Limits(config.max_image_bytes, config.max_image_pixels, config.max_image_side)
    metrics = Metrics(version("vitrine"))

    def emit(event: Event) -> None:
        metrics.emit(event)
        log_event(event)

    def open_engine(key: ModelKey) -> Engine:
        engine = load(store.open(key), policy)
        for warning in engine.warnings:
            _log.warning(warning, model=str(key))
        return engine

    def host(key: ModelKey, engine: Engine) -> Worker:
        return Worker(key, engine, queue, Lane(key, engine, limits, emit))

    def ready() -> tuple[bool, str]:
        return (False, "the server is shutting down") if dispatcher.closed else catalog.ready()

    def subject(name: str, number: int) -> Subject:
        key = catalog.resolve(name, number)
        engine = catalog.engine(key)
        return Subject(
            key, engine, TapSource(engine.digest, engine.tuning.chosen, lambda: _file_of(store, key, engine))
        )

    introspector = Introspector(
        subject,
        TapSessions(config.tap_bytes),
        pictures=PictureStore(config.picture_bytes, config.picture_ttl_s, time.monotonic),
        limits=limits,
        budget=Budget(),
    )
    queue = MemoryQueue(QueueLimits(config.queue_entries, config.queue_bytes), emit)
    catalog = Catalog(
        store,
        open_engine,
        host,
        emit,
        keep=config.keep_versions,
        let_go=lambda engine: introspector.forget(engine.digest),
    )
    dispatcher = Dispatcher(catalog.resolve, queue, limits, emit)
    bounds = Bounds(config.max_batch_items, config.max_stream_in_flight)
    settings = GrpcSettings(config.grpc, config.max_message_bytes, bounds)
    glass = IntrospectionServicer(introspector, Desk()) if config.introspection else None
    grpc = GrpcServer(settings, dispatcher, catalog, emit, glass)
    metrics.watch(queue.depth, grpc.in_flight)
    http = HttpServer(create_app(version("vitrine"), catalog, ready, metrics.render), *host_and_port(config.http))
    return Lifecycle(
        catalog, dispatcher, grpc, http, ready, poll_s=config.poll_s, grace_s=config.grace_s, warn=_log.warning
    )


def _file_of(store: ModelStore, key: ModelKey, engine: Engine) -> bytes:
    """The file behind a served engine; raises `Refused` when another one has taken its place."""
    stored = store.open(key)
    if stored.digest != engine.digest:
        raise Refused(f"{key}: the file in the store is not the one that is served")
    return stored.model


def _policy(config: Config) -> EnginePolicy:
    return EnginePolicy(
        providers="auto" if config.providers == ("auto",) else config.providers,
        precision=config.precision,
        lanes=config.lanes,
        intra_op_threads=config.intra_op_threads,
        batch=config.batch,
        latency_ceiling_ms=config.latency_ceiling_ms,
        tuning_budget_s=config.tuning_budget_s,
        cache_dir=config.tuning_cache,
    )
