"""The embedded default: front-end, queue and lanes in one process."""

from __future__ import annotations

from collections.abc import Collection

from service.api.jobs import JobsServicer
from service.api.open_inference import OpenInferenceServicer
from service.api.server import GrpcServer
from service.bootstrap.doors import glass, http_server, open_inference
from service.bootstrap.embedded_jobs import embedded_jobs
from service.bootstrap.engines import file_of, opener
from service.bootstrap.glass import diagnostics, introspector
from service.bootstrap.guards import guards
from service.bootstrap.keeping import cached, logged, prediction_folder, replaying
from service.bootstrap.parts import grpc_settings, image_limits, log, observed, queue_limits
from service.bootstrap.routing import filed, with_routes
from service.bootstrap.status import reporter
from service.bootstrap.traces import traces
from service.catalog import Catalog, Host
from service.config import Config
from service.core.messages import ModelKey
from service.core.ports import Engine
from service.dispatch import Dispatcher
from service.engine.store import ModelStore
from service.engine.taps import TapSource
from service.introspect.tapping import Subject
from service.lane import Lane
from service.lifecycle import Lifecycle
from service.queues.memory import MemoryQueue
from service.routing.shadow import Shadowing
from service.security.pacing import LocalPacing
from service.worker import Worker


def build(config: Config) -> Lifecycle:
    """Put it together. Raises `ServiceError` when the installed ONNX Runtime or the configuration rules it out."""
    store, limits = ModelStore(config.models), image_limits(config)
    guarded = guards(config, LocalPacing())
    metrics, emit = observed(config)
    tracing = traces(config, "embedded")

    def host(key: ModelKey, engine: Engine) -> Host:
        lane = tracing.lane(key, Lane(key, engine, limits, emit))
        return jobs.feed(key, engine, Worker(key, engine, queue, lane, emit, ahead=1))

    def routed(name: str) -> Collection[int]:
        return routes.versions(name)

    def ready() -> tuple[bool, str]:
        return (False, "the server is shutting down") if dispatcher.closed else catalog.ready()

    def subject(name: str, number: int) -> Subject:
        key = routes.settle(name, number)
        engine = catalog.engine(key)
        source = TapSource(engine.digest, engine.tuning.chosen, lambda: file_of(store, key, engine.digest))
        return Subject(key, engine, source)

    looking = introspector(config, subject)
    queue = MemoryQueue(queue_limits(config), emit)
    catalog = Catalog(
        store,
        opener(config, store),
        host,
        emit,
        keep=config.keep_versions,
        let_go=lambda engine: looking.forget(engine.digest),
        routed=routed,
    )
    routes = filed(config, catalog, emit)
    jobs = embedded_jobs(config, routes.settle, queue, emit)
    shadowing = Shadowing(cached(config, queue, catalog, metrics, emit), routes.get, emit)
    predictions = prediction_folder(config, emit)
    dispatcher = Dispatcher(routes.resolve, logged(config, shadowing, predictions), limits, emit)
    inside = tracing.asking(dispatcher)
    looked_into = glass(config, looking, diagnostics(looking, store), emit) if config.introspection else None
    standard = open_inference(config, inside, catalog, metrics, looked_into, choose=routes.choose)
    grpc = GrpcServer(
        grpc_settings(config, guarded.tls),
        inside,
        catalog,
        emit,
        looked_into.grpc if looked_into else None,
        jobs=JobsServicer(jobs.inside, emit),
        standard=OpenInferenceServicer(standard, config.max_stream_in_flight),
        interceptors=[*tracing.interceptors(), *guarded.interceptors()],
        choose=routes.choose,
        routes=routes,
        predictions=replaying(predictions, catalog, looked_into.keep if looked_into else None),
    )
    metrics.watch(queue.depth, grpc.in_flight)
    metrics.watch_settings(catalog.list)
    http = http_server(
        config,
        inside,
        catalog,
        guarded=guarded,
        tracing=tracing,
        report=reporter(config, "embedded", catalog.list, ready, depth=queue.depth),
        ready=ready,
        metrics=metrics,
        glass=looked_into,
        standard=standard,
        choose=routes.choose,
    )
    return Lifecycle(
        dispatcher,
        grpc,
        http,
        ready,
        behind=[*tracing.behind(), *jobs.behind, catalog, *([predictions] if predictions else []), shadowing],
        follow=with_routes(routes, catalog.follow),
        poll_s=config.poll_s,
        grace_s=config.grace_s,
        linger_s=config.linger_s,
        warn=log.warning,
    )
