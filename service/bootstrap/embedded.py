"""The embedded default: front-end, queue and lanes in one process."""

from __future__ import annotations

from collections.abc import Collection

from service.bootstrap.doors import glass
from service.bootstrap.drift import drift_watching
from service.bootstrap.embedded_jobs import embedded_jobs
from service.bootstrap.engines import opener, source_of
from service.bootstrap.glass import diagnostics, introspector
from service.bootstrap.keeping import prediction_folder
from service.bootstrap.parts import image_limits, queue_limits
from service.bootstrap.routing import filed
from service.bootstrap.server import Inside, frame, server
from service.catalog import Catalog, Host
from service.config import Config
from service.core.messages import ModelKey
from service.core.ports import Engine
from service.engine.arena import shrink_arena
from service.engine.store import ModelStore
from service.introspect.tapping import Subject
from service.lane import Lane
from service.lifecycle import Lifecycle
from service.queues.memory import MemoryQueue
from service.security.pacing import LocalPacing
from service.worker import Worker


def build(config: Config) -> Lifecycle:
    """Put it together. Raises `ServiceError` when the installed ONNX Runtime or the configuration rules it out."""
    around = frame(config, "embedded", LocalPacing())
    store, limits, emit = ModelStore(config.models), image_limits(config), around.emit

    def host(key: ModelKey, engine: Engine) -> Host:
        lane = around.tracing.lane(key, drift.lane(key, engine, Lane(key, engine, limits, emit)))
        return jobs.feed(key, engine, Worker(key, engine, queue, lane, emit, ahead=1))

    def routed(name: str) -> Collection[int]:
        return routes.versions(name)

    def subject(name: str, number: int) -> Subject:
        key = routes.settle(name, number)
        engine = catalog.engine(key)
        return Subject(key, engine, source_of(store, key, engine))

    drift = drift_watching(config, store, emit)
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
    predictions = prediction_folder(config, emit)
    return server(
        around,
        Inside(
            queue,
            catalog,
            routes,
            jobs.inside,
            glass(config, looking, diagnostics(looking, store), emit=emit, rest=shrink_arena, busy=queue.busy)
            if config.introspection
            else None,
            behind=[*drift.behind(), *jobs.behind, catalog, *([predictions] if predictions else [])],
            poll_s=config.poll_s,
            predictions=predictions,
        ),
    )
