"""What is kept of requests and answers, where the configuration says so: the response cache."""

from __future__ import annotations

from service.caching import CachedSubmissions, Shared
from service.config import Config
from service.core.caching import Answers
from service.core.errors import NoSuchModel
from service.core.events import Emit
from service.core.messages import ModelKey
from service.core.ports import Submissions
from service.core.use_cases import ModelCatalog
from service.telemetry.metrics import Metrics


def cached(
    config: Config,
    queue: Submissions,
    catalog: ModelCatalog,
    metrics: Metrics,
    emit: Emit,
    *,
    shared: Shared | None = None,
) -> Submissions:
    """The queue behind a cache; the queue itself where no memory is set aside for one."""
    if not config.cache_bytes:
        return queue

    def digest(key: ModelKey) -> str:
        try:
            return catalog.get(*key).digest
        except NoSuchModel:
            return ""

    kept = Answers(config.cache_bytes, config.cache_ttl_s)
    metrics.watch_cache(kept)
    return CachedSubmissions(queue, digest, kept, emit, shared=shared)
