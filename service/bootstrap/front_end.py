"""A front-end: the doors of the server, with the queue in Redis and every engine in a worker elsewhere."""

from __future__ import annotations

from service.api.jobs import JobsServicer
from service.api.open_inference import OpenInferenceServicer
from service.api.server import GrpcServer
from service.bootstrap.doors import Glass, http_server, open_inference
from service.bootstrap.guards import guards
from service.bootstrap.keeping import cached, logged, replaying
from service.bootstrap.parts import certificates, grpc_settings, image_limits, job_limits, log, observed, queue_limits
from service.bootstrap.redis_server import redis_server, vet
from service.bootstrap.routing import with_routes
from service.bootstrap.status import reporter, surveyed
from service.bootstrap.surveying import surveying
from service.bootstrap.traces import traces
from service.config import Config
from service.core.events import Emit
from service.core.use_cases import ModelCatalog
from service.dispatch import Dispatcher
from service.lifecycle import Lifecycle
from service.queues.redis_cache import RedisCache
from service.queues.redis_catalog import RedisCatalog
from service.queues.redis_jobs import RedisJobs
from service.queues.redis_pacing import RedisPacing
from service.queues.redis_predictions import RedisPredictions
from service.queues.redis_routing import RedisRouting
from service.queues.redis_submissions import RedisSubmissions
from service.queues.redis_url import Server
from service.routing.shadow import Shadowing
from service.routing.table import RoutingTable

#: Seconds between two looks at what workers announce.
_LOOK_S = 0.5


def build(config: Config) -> Lifecycle:
    """Put it together. Raises `InvalidInput` when the configuration rules it out."""
    server = redis_server(config)
    pacing = RedisPacing(server)
    guarded = guards(config, pacing)
    metrics, emit = observed(config)
    tracing = traces(config, "front-end")

    def ready() -> tuple[bool, str]:
        return (False, "the server is shutting down") if dispatcher.closed else catalog.ready()

    queue = RedisSubmissions(server, queue_limits(config), emit)
    catalog = RedisCatalog(server, emit)
    records = RedisRouting(server)
    routes = RoutingTable(records, catalog, emit)
    answers = _shared_answers(config, server)
    asking = cached(config, queue, catalog, metrics, emit, shared=answers)
    shadowing = Shadowing(asking, routes.get, emit)
    predictions = _predictions(config, server, emit)
    dispatcher = Dispatcher(routes.resolve, logged(config, shadowing, predictions), image_limits(config), emit)
    inside = tracing.asking(dispatcher)
    looked_into = _glass(config, catalog, emit)
    standard = open_inference(config, inside, catalog, metrics, looked_into, choose=routes.choose)
    jobs = RedisJobs(server, routes.settle, job_limits(config))
    grpc = GrpcServer(
        grpc_settings(config, guarded.tls),
        inside,
        catalog,
        emit,
        looked_into.grpc if looked_into else None,
        jobs=JobsServicer(lambda: jobs, emit),
        standard=OpenInferenceServicer(standard, config.max_stream_in_flight),
        interceptors=[*tracing.interceptors(), *guarded.interceptors()],
        choose=routes.choose,
        routes=routes,
        predictions=replaying(predictions, catalog, looked_into.keep if looked_into else None),
    )
    metrics.watch(queue.depth, grpc.in_flight)
    metrics.watch_certificates(certificates(config))
    metrics.watch_settings(catalog.list)
    http = http_server(
        config,
        inside,
        catalog,
        guarded=guarded,
        tracing=tracing,
        report=reporter(config, "front-end", catalog.list, ready, depth=queue.depth, workers=surveyed(server)),
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
        behind=[
            *tracing.behind(),
            queue,
            catalog,
            records,
            jobs,
            pacing,
            *([answers] if answers else []),
            *([predictions] if predictions else []),
            shadowing,
            surveying(server, metrics.watch_lines().show),
        ],
        follow=with_routes(routes, catalog.follow),
        prepare=lambda: vet(server),
        poll_s=min(config.poll_s, _LOOK_S),
        grace_s=config.grace_s,
        linger_s=config.linger_s,
        warn=log.warning,
    )


def _shared_answers(config: Config, server: Server) -> RedisCache | None:
    if not (config.cache_bytes and config.cache_shared_bytes):
        return None
    return RedisCache(server, config.cache_shared_bytes, config.cache_ttl_s)


def _predictions(config: Config, server: Server, emit: Emit) -> RedisPredictions | None:
    if not config.prediction_share:
        return None
    return RedisPredictions(server, config.prediction_bytes, config.prediction_ttl_s, emit)


def _glass(config: Config, catalog: ModelCatalog, emit: Emit) -> Glass | None:
    """Looking in needs the model files and an engine here: it is offered where `models` says where they are."""
    if not config.introspection or "models" not in config.model_fields_set:
        return None
    from service.bootstrap.remote_glass import remote_glass  # noqa: PLC0415 - else no ONNX Runtime is needed

    return remote_glass(config, catalog, emit)
