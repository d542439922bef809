"""A front-end: the doors of the server, with the queue in Redis and every engine in a worker elsewhere."""

from __future__ import annotations

from service.bootstrap.doors import Glass
from service.bootstrap.parts import job_limits, queue_limits
from service.bootstrap.redis_server import redis_server, vet
from service.bootstrap.server import Inside, frame, server
from service.bootstrap.surveying import surveyed, surveying
from service.config import Config
from service.core.events import Emit
from service.core.use_cases import ModelCatalog
from service.lifecycle import Lifecycle
from service.queues.redis_cache import RedisCache
from service.queues.redis_catalog import RedisCatalog
from service.queues.redis_jobs import RedisJobs
from service.queues.redis_pacing import RedisPacing
from service.queues.redis_predictions import RedisPredictions
from service.queues.redis_routing import RedisRouting
from service.queues.redis_submissions import RedisSubmissions
from service.queues.redis_url import Server
from service.routing.table import RoutingTable

#: Seconds between two looks at what workers announce.
_LOOK_S = 0.5


def build(config: Config) -> Lifecycle:
    """Put it together. Raises `InvalidInput` when the configuration rules it out."""
    redis = redis_server(config)
    pacing = RedisPacing(redis)
    around = frame(config, "front-end", pacing)
    emit = around.emit
    queue = RedisSubmissions(redis, queue_limits(config), emit)
    catalog = RedisCatalog(redis, emit)
    records = RedisRouting(redis)
    routes = RoutingTable(records, catalog, emit)
    answers = _shared_answers(config, redis)
    predictions = _predictions(config, redis, emit)
    jobs = RedisJobs(redis, routes.settle, job_limits(config))
    return server(
        around,
        Inside(
            queue,
            catalog,
            routes,
            lambda: jobs,
            _glass(config, catalog, emit),
            behind=[
                queue,
                catalog,
                records,
                jobs,
                pacing,
                *([answers] if answers else []),
                *([predictions] if predictions else []),
                surveying(redis, around.metrics.watch_lines().show),
            ],
            poll_s=min(config.poll_s, _LOOK_S),
            predictions=predictions,
            answers=answers,
            workers=surveyed(redis),
            prepare=lambda: vet(redis),
        ),
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
